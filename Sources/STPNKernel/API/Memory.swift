import Synchronization

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A block of uninitialised memory: a tape, or scratch.
final class Memory {
    let address: UnsafeMutableRawPointer
    let bytes: Int

    init(bytes: Int) throws(STPNError) {
        self.bytes = bytes
        if let spare = takeSpare(bytes) { address = spare.address } else { address = try allocate(bytes) }
    }

    deinit {
        if let block = keepSpare(Block(address: address, bytes: bytes)) { free(block.address) }
    }
}

extension Array where Element: CellScalar {
    /// Zeros. Arrays end the process where the system refuses memory: an enormous one is asked for beforehand.
    init(zeros count: Int) throws(STPNError) {
        let bytes = count * MemoryLayout<Element>.stride
        if bytes >= 1 << 30 { free(try allocate(bytes)) }
        self.init(unsafeUninitializedCapacity: count) { buffer, initialized in
            // As bytes: generic code would write the elements one by one.
            UnsafeMutableRawBufferPointer(buffer).initializeMemory(as: UInt8.self, repeating: 0)
            initialized = count
        }
    }
}

private func allocate(_ bytes: Int) throws(STPNError) -> UnsafeMutableRawPointer {
    guard let address = malloc(max(bytes, 1)) else {
        throw STPNError(.memory, "memory", "expected \(bytes) bytes, which the system does not have")
    }
    return address
}

// MARK: Spare blocks

// Fresh memory costs its first writer dearly, and training asks for the same sizes again and again: the blocks that were
// used last are kept.

private struct Block: @unchecked Sendable {
    let address: UnsafeMutableRawPointer
    let bytes: Int
}

/// The one that was used last is the last.
private let spares = Mutex<[Block]>([])
private let mostSpares = 4
/// Smaller ones malloc has at hand.
private let smallestSpare = 1 << 16

private func takeSpare(_ bytes: Int) -> Block? {
    guard bytes >= smallestSpare else { return nil }
    return spares.withLock { spares in
        spares.lastIndex { $0.bytes == bytes }.map { spares.remove(at: $0) }
    }
}

/// Returns the block that is not kept, if there is one.
private func keepSpare(_ block: Block) -> Block? {
    guard block.bytes >= smallestSpare else { return block }
    return spares.withLock { spares in
        spares.append(block)
        return spares.count > mostSpares ? spares.removeFirst() : nil
    }
}
