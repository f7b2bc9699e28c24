import CSTPN

/// The buffers of a call, checked before the first byte is written: none missing, all aligned, none that is written
/// overlapping another.
struct Regions {
    /// The name of a buffer: a field of the caller's struct, or an array in one.
    struct Name {
        let field: StaticString
        var array: StaticString? = nil

        var text: String { array.map { "\(field)[\($0)]" } ?? field.description }
    }

    private struct Region {
        let name: Name
        let start: UInt
        let end: UInt
        let written: Bool
    }

    private var regions: [Region] = []

    init() {
        regions.reserveCapacity(32)
    }

    /// A buffer that has to be there, unless it is empty.
    mutating func require(
        _ name: Name, _ pointer: UnsafeRawPointer?, _ bytes: Int, alignment: Int = 1, written: Bool = false
    ) throws(Failure) {
        guard pointer != nil || bytes == 0 else { throw Failure(.null, name.text, "expected \(bytes) bytes, got NULL") }
        try allow(name, pointer, bytes, alignment: alignment, written: written)
    }

    /// A buffer that may be NULL.
    mutating func allow(
        _ name: Name, _ pointer: UnsafeRawPointer?, _ bytes: Int, alignment: Int = 1, written: Bool = false
    ) throws(Failure) {
        guard let pointer, bytes > 0 else { return }
        let start = UInt(bitPattern: pointer)
        guard start % UInt(alignment) == 0 else {
            throw Failure(.alignment, name.text, "expected an address that is a multiple of \(alignment)")
        }
        let (end, overflow) = start.addingReportingOverflow(UInt(bytes))
        guard !overflow else { throw Failure(.size, name.text, "\(bytes) bytes exceed the address space") }
        regions.append(Region(name: name, start: start, end: end, written: written))
    }

    func checkOverlap() throws(Failure) {
        for i in regions.indices where regions[i].written {
            let a = regions[i]
            for j in regions.indices where i != j && a.start < regions[j].end && regions[j].start < a.end {
                let b = regions[j]
                throw Failure(.overlap, a.name.text, "expected memory of its own, overlaps \(b.name.text)")
            }
        }
    }
}

extension Regions.Name: ExpressibleByStringLiteral {
    init(stringLiteral field: StaticString) {
        self.init(field: field)
    }
}
