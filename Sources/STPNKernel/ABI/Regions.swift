import CSTPN

/// The buffers of a call, checked before the first byte is written: none missing, all aligned, none that is written
/// overlapping another.
struct Regions {
    private struct Region {
        let name: String
        let start: UInt
        let end: UInt
        let written: Bool
    }

    private var regions: [Region] = []

    /// A buffer that has to be there, unless it is empty.
    mutating func require(
        _ name: String, _ pointer: UnsafeRawPointer?, _ bytes: Int, alignment: Int = 1, written: Bool = false
    ) throws(Failure) {
        guard pointer != nil || bytes == 0 else { throw Failure(.null, name, "expected \(bytes) bytes, got NULL") }
        try allow(name, pointer, bytes, alignment: alignment, written: written)
    }

    /// A buffer that may be NULL.
    mutating func allow(
        _ name: String, _ pointer: UnsafeRawPointer?, _ bytes: Int, alignment: Int = 1, written: Bool = false
    ) throws(Failure) {
        guard let pointer, bytes > 0 else { return }
        let start = UInt(bitPattern: pointer)
        guard start % UInt(alignment) == 0 else {
            throw Failure(.alignment, name, "expected an address that is a multiple of \(alignment)")
        }
        let (end, overflow) = start.addingReportingOverflow(UInt(bytes))
        guard !overflow else { throw Failure(.size, name, "\(bytes) bytes exceed the address space") }
        regions.append(Region(name: name, start: start, end: end, written: written))
    }

    func checkOverlap() throws(Failure) {
        for (i, a) in regions.enumerated() where a.written {
            for (j, b) in regions.enumerated() where i != j && a.start < b.end && b.start < a.end {
                throw Failure(.overlap, a.name, "expected memory of its own, overlaps \(b.name)")
            }
        }
    }
}
