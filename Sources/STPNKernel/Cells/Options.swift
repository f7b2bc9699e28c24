/// An option of a cell that is one of a few names.
protocol Choice: RawRepresentable, CaseIterable, Sendable where RawValue == Int32 {
    /// As in docs/cells.md; nil for None.
    var name: StaticString? { get }
}

/// The function of a neuron.
enum Activation: Int32, Choice {
    case tanh = 1
    case sigmoid, relu, identity

    var name: StaticString? {
        switch self {
        case .tanh: "tanh"
        case .sigmoid: "sigmoid"
        case .relu: "relu"
        case .identity: "identity"
        }
    }
}
