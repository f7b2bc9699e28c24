/// exp(z) = scale · (1 + fraction), for every element of a bounded z: scale is a power of 2 and fraction = expm1(r),
/// z = n ln2 + r, by its Taylor series.
@inline(__always)
private func exponential<T: Real>(_ z: T.Lanes, _: T.Type) -> (scale: T.Lanes, fraction: T.Lanes) {
    typealias V = T.Lanes
    let n = (z * T(1.44269504088896340736)).rounded(.toNearestOrEven)
    // ln2 in two parts: the first has few enough bits for n times it to be exact.
    let r = fma(n, -T(1.42860682030941723212e-6), fma(n, -T(0.693145751953125), z))
    var series = V(repeating: 1 / factorial(T.expTerms))
    var power = T.expTerms &- 1
    while power >= 1 {
        series = fma(series, r, V(repeating: 1 / factorial(power)))
        power &-= 1
    }
    return (T.powerOfTwo(n), series * r)
}

@inline(__always)
private func magnitude<T: Real>(_ x: T.Lanes, atMost bound: T, _: T.Type) -> T.Lanes {
    let magnitude = absolute(x, T.self)
    // NaN fails the comparison and passes.
    let bound = T.Lanes(repeating: bound)
    return T.select(bound, lessThan: magnitude, bound, else: magnitude)
}

/// The hyperbolic tangent of every element, within 3 ulp; NaN and the sign of zero are kept.
///
/// tanh |x| = E / (E + 2) with E = expm1(2|x|), which is exact for small x where 1 - 2/(exp(2x) + 1) cancels.
@inline(__always)
func tanh<T: Real>(_ x: T.Lanes, _: T.Type) -> T.Lanes {
    // From 20 on tanh is 1 in both precisions.
    let (scale, fraction) = exponential(magnitude(x, atMost: 20, T.self) * 2, T.self)
    let e = fma(scale, fraction, scale - 1)
    let result = e / (e + 2)
    // x itself where it is zero, for its sign, and where it is NaN.
    return T.select(.zero, lessThan: x, result, else: T.select(x, lessThan: .zero, -result, else: x))
}

/// The logistic function 1 / (1 + exp(-x)) of every element, within 3 ulp; NaN is kept. Where the value would be no normal
/// number it is 0.
@inline(__always)
func sigmoid<T: Real>(_ x: T.Lanes, _: T.Type) -> T.Lanes {
    let bound = T.Lanes(repeating: T.largestExponent)
    let (scale, fraction) = exponential(-magnitude(x, atMost: T.largestExponent, T.self), T.self)
    let small = T.select(x, lessThan: -bound, .zero, else: fma(scale, fraction, scale))
    let numerator = T.select(x, lessThan: .zero, small, else: T.Lanes(repeating: 1))
    // NaN where x is NaN, as `small` is.
    return numerator / (1 + small)
}

@inline(__always)
private func factorial<T: Real>(_ n: Int) -> T {
    var product: T = 1
    var i = 2
    while i <= n {
        product *= T(i)
        i &+= 1
    }
    return product
}
