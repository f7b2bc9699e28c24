/// The gradient where a value that was clipped to ±bound lies within, 0 at it.
@inline(__always)
func unclipped<T: Real>(_ value: T.Lanes, _ bound: T.Lanes, _ gradient: T.Lanes, _: T.Type) -> T.Lanes {
    let above = T.select(-bound, lessThan: value, gradient, else: .zero)
    return T.select(value, lessThan: bound, above, else: .zero)
}
