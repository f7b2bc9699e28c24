/// The number types of cells: `Float` and `Double`. Cells refuse other types that conform to it.
public protocol CellScalar: BinaryFloatingPoint, BitwiseCopyable, Sendable {}
extension Float: CellScalar {}
extension Double: CellScalar {}

/// The parameters of a cell, its states, or gradients for either: arrays by name, one after the other in one buffer.
///
/// An optimiser needs no names:
///
///     for i in cell.parameters.values.indices {
///         cell.parameters.values[i] -= 0.001 * gradients.parameters.values[i]
///     }
///
/// A cell makes them (``PlasticCell/parameters``, ``PlasticCell/initialState(batch:)``), and checks those that it is given.
public struct NamedArrays<Scalar: CellScalar>: Equatable, Sendable {
    /// Where an array is.
    public struct Layout: Hashable, Sendable {
        /// As in `docs/cells.md`: `weight_lambda`, `F`.
        public let name: String
        /// Empty for a single number. A state has the batch in front.
        public let shape: [Int]
        /// Its part of ``NamedArrays/values``, row-major.
        public let range: Range<Int>
    }

    public let layout: [Layout]

    /// How many numbers ``values`` has to have.
    private var count: Int { layout.last?.range.upperBound ?? 0 }

    /// The numbers of all arrays. Their count must remain what it is.
    public var values: [Scalar]

    /// Zeros, for arrays as a cell describes them; those of states for a batch.
    init(_ arrays: [ArrayInfo], batch: Int? = nil) throws(STPNError) {
        var layout: [Layout] = []
        var count = 0
        for info in arrays {
            guard let size = checkedProduct(batch ?? 1, info.shape.count),
                case (let end, false) = count.addingReportingOverflow(size),
                checkedProduct(end, MemoryLayout<Scalar>.stride) != nil
            else {
                throw STPNError(.size, "batch", "the arrays exceed the address space, with B = \(batch ?? 1)")
            }
            layout.append(
                Layout(name: info.name.description, shape: info.sizes(batch: batch), range: count..<end))
            count = end
        }
        (self.layout, values) = (layout, try [Scalar](zeros: count))
    }

    /// Zeros of the same layout.
    init(like other: NamedArrays) throws(STPNError) {
        (layout, values) = (other.layout, try [Scalar](zeros: other.values.count))
    }

    /// Where the array of a name is in ``values``.
    ///
    /// - Throws: ``STPNError`` where there is none of that name.
    public func range(of name: String) throws(STPNError) -> Range<Int> {
        guard let array = layout.first(where: { $0.name == name }) else {
            let names = layout.map(\.name).joined(separator: ", ")
            throw STPNError(.size, name, "expected one of the arrays \(names)")
        }
        guard array.range.upperBound <= values.count else {
            throw STPNError(.size, "values", "expected \(count) numbers, got \(values.count)")
        }
        return array.range
    }

    /// A copy of the array of a name, row-major.
    ///
    /// - Throws: ``STPNError`` where there is none of that name.
    public subscript(name: String) -> [Scalar] {
        get throws(STPNError) { Array(values[try range(of: name)]) }
    }

    /// Replaces the array of a name, row-major.
    ///
    /// - Throws: ``STPNError`` where there is none of that name, or it has another number of elements.
    public mutating func set(_ name: String, to elements: [Scalar]) throws(STPNError) {
        let range = try range(of: name)
        guard elements.count == range.count else {
            throw STPNError(.size, name, "expected \(range.count) numbers, got \(elements.count)")
        }
        values.replaceSubrange(range, with: elements)
    }

    /// Whether these are the arrays that a cell describes.
    func check(_ argument: String, _ arrays: [ArrayInfo], batch: Int? = nil) throws(STPNError) {
        guard layout.map(\.name) == arrays.map({ $0.name.description }) else {
            let expected = arrays.map { $0.name.description }.joined(separator: ", ")
            let found = layout.map(\.name).joined(separator: ", ")
            throw STPNError(.size, argument, "expected the arrays \(expected), got \(found)")
        }
        for (array, info) in zip(layout, arrays) where array.shape != info.sizes(batch: batch) {
            throw STPNError(
                .size, "\(argument).\(array.name)",
                "expected the shape \(text(info.sizes(batch: batch))), got \(text(array.shape))")
        }
        guard values.count == count else {
            throw STPNError(.size, "\(argument).values", "expected \(count) numbers, got \(values.count)")
        }
    }

    // MARK: As the kernel reads and writes them

    func withPointers<R>(
        _ body: (UnsafePointer<UnsafeRawPointer?>) throws(STPNError) -> R
    ) throws(STPNError) -> R {
        try values.withUnsafeBufferPointer { values throws(STPNError) in
            let pointers = layout.map { array in
                values.baseAddress.map { UnsafeRawPointer($0 + array.range.lowerBound) }
            }
            return try pointers.withUnsafeBufferPointer { pointers throws(STPNError) in
                try body(pointers.baseAddress!)
            }
        }
    }

    mutating func withMutablePointers<R>(
        _ body: (UnsafePointer<UnsafeMutableRawPointer?>) throws(STPNError) -> R
    ) throws(STPNError) -> R {
        let layout = layout
        return try values.withUnsafeMutableBufferPointer { values throws(STPNError) in
            let pointers = layout.map { array in
                values.baseAddress.map { UnsafeMutableRawPointer($0 + array.range.lowerBound) }
            }
            return try pointers.withUnsafeBufferPointer { pointers throws(STPNError) in
                try body(pointers.baseAddress!)
            }
        }
    }
}

extension ArrayInfo {
    /// The sizes of the axes, the batch in front where there is one.
    fileprivate func sizes(batch: Int?) -> [Int] {
        let sizes = [shape.sizes.0, shape.sizes.1, shape.sizes.2].prefix(shape.rank)
        return (batch.map { [$0] } ?? []) + sizes
    }
}

/// A shape, for a message: (128, 11, 48)
func text(_ shape: [Int]) -> String {
    "(" + shape.map(\.description).joined(separator: ", ") + ")"
}
