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
        guard let address = malloc(max(bytes, 1)) else { throw outOfMemory(bytes) }
        (self.address, self.bytes) = (address, bytes)
    }

    deinit { free(address) }
}

extension Array where Element: CellScalar {
    /// Zeros. Arrays end the process where the system refuses memory: an enormous one is asked for beforehand.
    init(zeros count: Int) throws(STPNError) {
        let bytes = count * MemoryLayout<Element>.stride
        if bytes >= 1 << 30 { _ = try Memory(bytes: bytes) }
        self.init(unsafeUninitializedCapacity: count) { buffer, initialized in
            // As bytes: generic code would write the elements one by one.
            UnsafeMutableRawBufferPointer(buffer).initializeMemory(as: UInt8.self, repeating: 0)
            initialized = count
        }
    }
}

private func outOfMemory(_ bytes: Int) -> STPNError {
    STPNError(.memory, "memory", "expected \(bytes) bytes, which the system does not have")
}
