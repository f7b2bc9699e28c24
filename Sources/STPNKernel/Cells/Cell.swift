/// A parameter or state of a cell: its name in docs/cells.md, its shape, and how it begins.
struct ArrayInfo {
    let name: StaticString
    let shape: Shape
    /// Initial values are uniform in [low, high); a constant where both are equal.
    var low = 0.0
    var high = 0.0

    init(_ name: StaticString, _ shape: Shape, low: Double, high: Double) {
        (self.name, self.shape, self.low, self.high) = (name, shape, low, high)
    }

    /// Uniform in [-bound, bound)
    init(_ name: StaticString, _ shape: Shape, within bound: Double) {
        self.init(name, shape, low: -bound, high: bound)
    }

    init(_ name: StaticString, _ shape: Shape, all value: Double = 0) {
        self.init(name, shape, low: value, high: value)
    }
}

struct Shape {
    let rank: Int
    let sizes: (Int, Int, Int)

    /// ()
    init() {
        rank = 0
        sizes = (1, 1, 1)
    }

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
    associatedtype Parameter: RawRepresentable, CaseIterable where Parameter.RawValue == Int
    associatedtype State: RawRepresentable, CaseIterable where State.RawValue == Int
    /// nil: the options leave this parameter out.
    func info(_ parameter: Parameter) -> ArrayInfo?
    func info(_ state: State) -> ArrayInfo?

    /// The answers of the two kernels to a job; see `SequenceKernel.perform`.
    func runPlain(_ job: Job) -> Int?
    func runFast(_ job: Job) -> Int?
}

extension CellDescription {
    var parameters: [ArrayInfo] { Parameter.allCases.compactMap { info($0) } }
    var states: [ArrayInfo] { State.allCases.compactMap { info($0) } }

    /// The number of every parameter by its slot, or nil where the cell has none of that name.
    var parameterIndices: [Int?] { Self.numbered(Parameter.allCases.map { info($0) != nil }) }
    var stateIndices: [Int?] { Self.numbered(State.allCases.map { info($0) != nil }) }

    func index(_ parameter: Parameter) -> Int? { parameterIndices[parameter.rawValue] }
    func index(_ state: State) -> Int? { stateIndices[state.rawValue] }

    private static func numbered(_ isThere: [Bool]) -> [Int?] {
        var count = 0
        return isThere.map {
            count += $0 ? 1 : 0
            return $0 ? count - 1 : nil
        }
    }
}

/// A cell of any kind, as `stpn_cell` describes it. To add a kind, add it here.
enum Cell {
    case stpn(STPN)
    case fastWeights(FastWeights)
    case modulated(Modulated)

    /// What all kinds answer alike.
    struct Summary {
        let inputSize: Int
        let hiddenSize: Int
        let parameters: [ArrayInfo]
        let states: [ArrayInfo]

        init<D: CellDescription>(_ cell: D) {
            (inputSize, hiddenSize) = (cell.inputSize, cell.hiddenSize)
            (parameters, states) = (cell.parameters, cell.states)
        }
    }

    var summary: Summary {
        switch self {
        case .stpn(let cell): Summary(cell)
        case .fastWeights(let cell): Summary(cell)
        case .modulated(let cell): Summary(cell)
        }
    }

    func runPlain(_ job: Job) -> Int? {
        switch self {
        case .stpn(let cell): cell.runPlain(job)
        case .fastWeights(let cell): cell.runPlain(job)
        case .modulated(let cell): cell.runPlain(job)
        }
    }

    func runFast(_ job: Job) -> Int? {
        switch self {
        case .stpn(let cell): cell.runFast(job)
        case .fastWeights(let cell): cell.runFast(job)
        case .modulated(let cell): cell.runFast(job)
        }
    }
}
