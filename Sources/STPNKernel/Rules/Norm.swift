/// 1e-16, which docs/cells.md adds to every norm.
@inline(__always)
private func epsilon<T: Real>(_: T.Type) -> T { T(1e-16) }

/// 1 / n, n = length · gain + 1e-16. A norm of 0 counts as infinite.
@inline(__always)
func inverse<T: Real>(_ length: T, gain: T) -> T {
    length == 0 ? 0 : 1 / (length * gain + epsilon(T.self))
}

@inline(__always)
func inverse<T: Real>(_ length: T.Lanes, gain: T.Lanes, _: T.Type) -> T.Lanes {
    // Where the norm is not above 0 it is 0, or NaN, and stands for its inverse.
    T.select(.zero, lessThan: length, 1 / (length * gain + epsilon(T.self)), else: length)
}

/// g / length, the factor of G in the derivative of n for G; 0 where the norm is 0, without meaning where it is -1.
@inline(__always)
func unit<T: Real>(_ length: T.Lanes, gain: T.Lanes, _: T.Type) -> T.Lanes {
    T.select(.zero, lessThan: length, gain / length, else: length)
}

/// s, which takes X to F with "post", from the norm that it divides by; a norm of -1 stands for an F that was not divided.
@inline(__always)
func postScale<T: Real>(_ length: T.Lanes, gain: T.Lanes, _: T.Type) -> T.Lanes {
    T.select(length, lessThan: .zero, T.Lanes(repeating: 1), else: inverse(length, gain: gain, T.self))
}
