/// The functions of neurons, element by element and, for the fast kernel, vector by vector, and their slopes, which all
/// follow from the value h of the function.
extension Activation {
    func value<T: Real>(_ a: T) -> T {
        switch self {
        case .tanh: T.libmTanh(a)
        case .sigmoid: 1 / (1 + T.libmExp(-a))
        // NaN passes.
        case .relu: a < 0 ? 0 : a
        case .identity: a
        }
    }

    func slope<T: Real>(_ h: T) -> T {
        switch self {
        case .tanh: 1 - h * h
        case .sigmoid: h * (1 - h)
        case .relu: h > 0 ? 1 : 0
        case .identity: 1
        }
    }

    @inline(__always)
    func value<T: Real>(_ a: T.Lanes, _: T.Type) -> T.Lanes {
        switch self {
        case .tanh: STPNKernel.tanh(a, T.self)
        case .sigmoid: STPNKernel.sigmoid(a, T.self)
        case .relu: T.select(a, lessThan: .zero, .zero, else: a)
        case .identity: a
        }
    }

    @inline(__always)
    func slope<T: Real>(_ h: T.Lanes, _: T.Type) -> T.Lanes {
        switch self {
        case .tanh: 1 - h * h
        case .sigmoid: h * (1 - h)
        case .relu: T.select(.zero, lessThan: h, T.Lanes(repeating: 1), else: .zero)
        case .identity: T.Lanes(repeating: 1)
        }
    }
}
