/// The functions of neurons and their slopes, which all follow from the value h of the function: for one number, and for
/// rows of the fast kernel.
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

    /// No a makes h large.
    var isBounded: Bool { self == .tanh || self == .sigmoid }

    /// a (width) becomes h (width): rows of the fast kernel.
    func apply<T: Real>(_ a: UnsafePointer<T>, to h: UnsafeMutablePointer<T>, width: Int) {
        @inline(__always)
        func each(_ function: (T.Lanes) -> T.Lanes) {
            var j = 0
            while j < width {
                h.store(function(a.lanes(j)), j)
                j &+= T.Lanes.scalarCount
            }
        }
        switch self {
        case .tanh: each { STPNKernel.tanh($0, T.self) }
        case .sigmoid: each { STPNKernel.sigmoid($0, T.self) }
        case .relu: each { T.select($0, lessThan: .zero, .zero, else: $0) }
        case .identity: each { $0 }
        }
    }

    /// The gradient (width) for h becomes that for a.
    func adjoint<T: Real>(_ h: UnsafePointer<T>, _ gradient: UnsafeMutablePointer<T>, width: Int) {
        @inline(__always)
        func each(_ slope: (T.Lanes) -> T.Lanes) {
            var j = 0
            while j < width {
                gradient.store(gradient.lanes(j) * slope(h.lanes(j)), j)
                j &+= T.Lanes.scalarCount
            }
        }
        switch self {
        case .tanh: each { 1 - $0 * $0 }
        case .sigmoid: each { $0 * (1 - $0) }
        case .relu: each { T.select(.zero, lessThan: $0, T.Lanes(repeating: 1), else: .zero) }
        case .identity: break
        }
    }
}
