/// A parameter or state of a cell: its name in docs/cells.md, its shape, and how it begins.
struct ArrayInfo {
    let name: StaticString
    let shape: Shape
    /// Initial values are uniform in [low, high); a constant where both are equal.
    var low = 0.0
    var high = 0.0
}

struct Shape {
    let rank: Int
    let sizes: (Int, Int, Int)

    init(_ first: Int) {
        rank = 1
        sizes = (first, 1, 1)
    }

    init(_ first: Int, _ second: Int) {
        rank = 2
        sizes = (first, second, 1)
    }

    /// The number of elements; the sizes of a description that was checked do not overflow.
    var count: Int { sizes.0 * sizes.1 * sizes.2 }
}

/// What every cell answers about itself. A slot is a parameter or state that a cell of this kind can have; the options
/// say which it has, and these are numbered in the order of their slots.
protocol CellDescription {
    /// I
    var inputSize: Int { get }
    /// H
    var hiddenSize: Int { get }
    static var parameterSlots: Int { get }
    static var stateSlots: Int { get }
    /// nil: the options leave this parameter out.
    func parameter(_ slot: Int) -> ArrayInfo?
    func state(_ slot: Int) -> ArrayInfo?
}

extension CellDescription {
    var parameters: [ArrayInfo] { (0..<Self.parameterSlots).compactMap(parameter) }
    var states: [ArrayInfo] { (0..<Self.stateSlots).compactMap(state) }

    /// The number of the parameter in a slot, or nil where the cell has none there.
    func parameterIndex(_ slot: Int) -> Int? {
        parameter(slot) == nil ? nil : (0..<slot).reduce(0) { $0 + (parameter($1) == nil ? 0 : 1) }
    }
}

/// A cell of any kind, as `stpn_cell` describes it. To add a kind, add its case here.
enum Cell {
    case stpn(STPN)

    var inputSize: Int {
        switch self {
        case .stpn(let cell): cell.inputSize
        }
    }

    var hiddenSize: Int {
        switch self {
        case .stpn(let cell): cell.hiddenSize
        }
    }

    var parameters: [ArrayInfo] {
        switch self {
        case .stpn(let cell): cell.parameters
        }
    }

    var states: [ArrayInfo] {
        switch self {
        case .stpn(let cell): cell.states
        }
    }
}
