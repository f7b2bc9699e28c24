/// The states of a sample or the parameters of a cell, or gradients, one after the other in one buffer: array number i
/// begins where the ones before it end.
struct Concatenation<T: Real> {
    let base: UnsafeMutablePointer<T>
    private let arrays: [ArrayInfo]

    init(_ base: UnsafeMutablePointer<T>, _ arrays: [ArrayInfo]) {
        self.base = base
        self.arrays = arrays
    }

    subscript(index: Int) -> UnsafeMutablePointer<T> {
        base + arrays[..<index].reduce(0) { $0 + $1.shape.count }
    }

    /// Copies every array from its source; zeros where there is none.
    func load(_ source: (Int) -> UnsafePointer<T>?) {
        for i in arrays.indices {
            if let source = source(i) {
                self[i].copy(source, arrays[i].shape.count)
            } else {
                self[i].zero(arrays[i].shape.count)
            }
        }
    }

    /// Copies every array to its target, where there is one.
    func save(_ target: (Int) -> UnsafeMutablePointer<T>?) {
        for i in arrays.indices {
            target(i)?.copy(self[i], arrays[i].shape.count)
        }
    }

    func copy(_ other: Concatenation) {
        load { UnsafePointer(other[$0]) }
    }
}
