/// The hyperbolic tangent of every element, within 3 ulp; NaN and the sign of zero are kept.
///
/// tanh |x| = E / (E + 2) with E = expm1(2|x|), which is exact for small x where 1 - 2/(exp(2x) + 1) cancels.
/// expm1(z) = 2ⁿ expm1(r) + (2ⁿ - 1) with z = n ln2 + r and the Taylor series for r.
@inline(__always)
func tanh<T: Real>(_ x: T.Lanes, _: T.Type) -> T.Lanes {
    typealias V = T.Lanes
    let magnitude = T.select(x, lessThan: .zero, -x, else: x)
    // From 20 on tanh is 1 in both precisions; a bound keeps 2ⁿ in range. NaN fails the comparison and passes.
    let bound = V(repeating: 20)
    let z = T.select(bound, lessThan: magnitude, bound, else: magnitude) * 2

    let n = (z * T(1.44269504088896340736)).rounded(.toNearestOrEven)
    // ln2 in two parts: the first has few enough bits for n times it to be exact.
    let r = fma(n, -T(1.42860682030941723212e-6), fma(n, -T(0.693145751953125), z))
    var series = V(repeating: 1 / factorial(T.expTerms))
    var power = T.expTerms &- 1
    while power >= 1 {
        series = fma(series, r, V(repeating: 1 / factorial(power)))
        power &-= 1
    }
    let scale = T.powerOfTwo(n)
    let e = fma(scale, series * r, scale - 1)

    let result = e / (e + 2)
    // x itself where it is zero, for its sign, and where it is NaN.
    return T.select(.zero, lessThan: x, result, else: T.select(x, lessThan: .zero, -result, else: x))
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
