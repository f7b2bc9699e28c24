@testable import STPNKernel

/// A buffer between canaries, filled with NaN: what is not written shows, and so does what is written beyond it.
final class Guarded<T: Real> {
    private static var margin: Int { 16 }
    private static var canary: T { T(-1234.5) }
    private let storage: UnsafeMutableBufferPointer<T>
    let count: Int

    init(count: Int) {
        self.count = count
        storage = .allocate(capacity: count + 2 * Self.margin)
        storage.initialize(repeating: Self.canary)
        for i in 0..<count { pointer[i] = .nan }
    }

    convenience init(_ elements: [Double]) {
        self.init(count: elements.count)
        for (i, element) in elements.enumerated() { pointer[i] = T(element) }
    }

    deinit { storage.deallocate() }

    var pointer: UnsafeMutablePointer<T> { storage.baseAddress! + Self.margin }
    var values: [T] { (0..<count).map { pointer[$0] } }
    var isIntact: Bool {
        storage[..<Self.margin].allSatisfy { $0 == Self.canary }
            && storage[(Self.margin + count)...].allSatisfy { $0 == Self.canary }
    }
}
