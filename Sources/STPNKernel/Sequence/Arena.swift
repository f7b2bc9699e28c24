/// Hands out parts of one block of memory, one after the other. Without memory behind it, it only measures: sizes and
/// pointers come from the same code and cannot disagree.
struct Arena {
    private let base: UnsafeMutableRawPointer?
    /// What was handed out so far, alignment included; nil where that exceeds what an Int holds.
    private(set) var byteCount: Int? = 0

    /// Every part begins at a multiple of it from the first.
    static var alignment: Int { 64 }

    /// An arena that measures.
    init() {
        base = nil
    }

    /// An arena on a workspace of any alignment.
    init(workspace: UnsafeMutableRawPointer) {
        let misalignment = Int(bitPattern: workspace) & (Self.alignment - 1)
        base = workspace + (misalignment == 0 ? 0 : Self.alignment - misalignment)
    }

    /// An arena that begins where the tape does, so that a tape that was copied to another address is still one.
    init(tape: UnsafeRawPointer) {
        base = UnsafeMutableRawPointer(mutating: tape)
    }

    /// What a caller has to provide: room to align the beginning is part of it.
    var requiredBytes: Int? {
        guard let byteCount else { return nil }
        let (sum, overflow) = byteCount.addingReportingOverflow(Self.alignment)
        return overflow ? nil : sum
    }

    /// Room for a·b·c·d elements, uninitialised. Measuring gives an address that nobody may read.
    mutating func take<T>(_: T.Type, _ a: Int, _ b: Int = 1, _ c: Int = 1, _ d: Int = 1) -> UnsafeMutablePointer<T> {
        let offset = byteCount ?? 0
        let bytes = checkedProduct(checkedProduct(a, b), checkedProduct(c, d), MemoryLayout<T>.stride)
        if let sum = byteCount, let bytes { byteCount = Self.advanced(sum, by: bytes) } else { byteCount = nil }
        let address = base.map { $0 + offset } ?? UnsafeMutableRawPointer(bitPattern: Self.alignment)!
        return address.assumingMemoryBound(to: T.self)
    }

    /// Rounded up to the alignment, and past a multiple of the page size: buffers at equal offsets in their pages would
    /// compete for the same lines of the first cache.
    private static func advanced(_ sum: Int, by bytes: Int) -> Int? {
        let (end, overflow) = sum.addingReportingOverflow(bytes)
        if overflow || end > Int.max - 2 * alignment { return nil }
        let aligned = (end + alignment - 1) & ~(alignment - 1)
        return aligned % 4096 == 0 ? aligned + alignment : aligned
    }
}

/// The product of sizes that are not negative, or nil where it, or one of them, exceeds what an Int holds.
func checkedProduct(_ a: Int?, _ b: Int?, _ c: Int? = 1) -> Int? {
    guard let a, let b, let c else { return nil }
    let (ab, first) = a.multipliedReportingOverflow(by: b)
    let (abc, second) = ab.multipliedReportingOverflow(by: c)
    return first || second ? nil : abc
}
