/// 1e-16, which docs/cells.md adds to every norm.
@inline(__always)
private func epsilon<T: Real>(_: T.Type) -> T { T(1e-16) }

/// 1 / n, n = norm + 1e-16. A norm of 0 counts as infinite.
@inline(__always)
func inverse<T: Real>(_ norm: T) -> T {
    norm == 0 ? 0 : 1 / (norm + epsilon(T.self))
}

@inline(__always)
func inverse<T: Real>(_ norm: T.Lanes, _: T.Type) -> T.Lanes {
    // Where the norm is not above 0 it is 0, or NaN, and stands for its inverse.
    T.select(.zero, lessThan: norm, 1 / (norm + epsilon(T.self)), else: norm)
}

/// 1 / norm, the factor of G in the derivative of the norm, from 1 / n = 1 / (norm + 1e-16): so a tape needs one of them.
/// Where the norm is so far below 1e-16 that n does not tell it (from about 1e-24 down), the derivative is taken for 0.
@inline(__always)
func unit<T: Real>(_ inverse: T) -> T {
    let share = 1 - epsilon(T.self) * inverse
    return share <= 0 ? 0 : inverse / share
}

@inline(__always)
func unit<T: Real>(_ inverse: T.Lanes, _: T.Type) -> T.Lanes {
    let share = 1 - epsilon(T.self) * inverse
    // 0 where the share is not above 0, NaN where it is NaN.
    return T.select(.zero, lessThan: share, inverse / share, else: share - share)
}
