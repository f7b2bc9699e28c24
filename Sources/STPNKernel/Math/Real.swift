import CPlatform

#if hasFeature(Embedded)
typealias SIMDNumber = BinaryFloatingPoint & SIMDScalar & BitwiseCopyable & Sendable
#else
typealias SIMDNumber = BinaryFloatingPoint & SIMDScalar & BitwiseCopyable & Sendable & Codable
#endif

/// The number type of a cell: `Float` or `Double`.
///
/// Generic code over `Real` is specialised by the compiler for both; nothing is dispatched at run time.
protocol Real: SIMDNumber {
    /// The vector that the fast kernel computes with: as wide as the instruction set that it is compiled for.
    associatedtype Lanes: SIMD & BitwiseCopyable where Lanes.Scalar == Self

    /// Whether the fast kernel is compiled for this type. In the set of the oldest processors, which is to be small, it is not
    /// for Double: they have the plain kernel.
    static var isFast: Bool { get }

    /// How many numbers fill 64 bytes: rows of the fast kernel are padded to a multiple of it, whatever the width of
    /// `Lanes`.
    static var rowUnit: Int { get }

    /// Terms of the Taylor series of expm1 on [-ln2/2, ln2/2] that reach this type's precision.
    static var expTerms: Int { get }

    /// A bound for x such that exp(-x) is a normal number.
    static var largestExponent: Self { get }

    /// 2 to the power of each element, which is a whole number in the exponent's range.
    static func powerOfTwo(_ n: Lanes) -> Lanes

    /// a·b + c in one rounding where the instruction set has it; two roundings elsewhere, where the fused form would be a
    /// call of libm for every element.
    static func fma(_ a: Lanes, _ b: Lanes, _ c: Lanes) -> Lanes

    /// The first `count` elements of a row, fewer than a vector, and zeros.
    static func first(_ count: Int, of row: UnsafePointer<Self>) -> Lanes

    /// The sums of the four quarters of a vector, element by element: the first step of a horizontal sum.
    static func quarterSums(_ v: Lanes) -> SIMD4<Self>

    /// The sums of four vectors, each in the order of `horizontalSum`.
    static func horizontalSums(_ a: Lanes, _ b: Lanes, _ c: Lanes, _ d: Lanes) -> SIMD4<Self>

    /// `yes` where a < b, else `no`, also where one of them is NaN. The only comparison of the fast kernel: in generic code
    /// SIMD's own are loops over the elements.
    static func select(_ a: Lanes, lessThan b: Lanes, _ yes: Lanes, else no: Lanes) -> Lanes

    /// clip(v, ±bound), which lets NaN pass
    static func clip(_ v: Lanes, _ bound: Lanes) -> Lanes

    static func libmTanh(_ x: Self) -> Self
    static func libmExp(_ x: Self) -> Self
}

#if STPN_X86_64_V4
typealias FloatLanes = SIMD16<Float>
typealias DoubleLanes = SIMD8<Double>
#elseif STPN_X86_64_V3
typealias FloatLanes = SIMD8<Float>
typealias DoubleLanes = SIMD4<Double>
#else
typealias FloatLanes = SIMD4<Float>
typealias DoubleLanes = SIMD4<Double>
#endif

extension Float: Real {
    typealias Lanes = FloatLanes

    @inline(__always) static var isFast: Bool { true }
    @inline(__always) static var rowUnit: Int { 16 }
    @inline(__always) static var expTerms: Int { 7 }
    @inline(__always) static var largestExponent: Float { 87 }
    @inline(__always) static func libmTanh(_ x: Float) -> Float { stpn_platform_tanhf(x) }
    @inline(__always) static func libmExp(_ x: Float) -> Float { stpn_platform_expf(x) }

    @_transparent
    static func select(
        _ a: FloatLanes, lessThan b: FloatLanes, _ yes: FloatLanes, else no: FloatLanes
    ) -> FloatLanes {
        stpn_platform_select_floats(a, b, yes, no)
    }

    @_transparent
    static func clip(_ v: FloatLanes, _ bound: FloatLanes) -> FloatLanes { stpn_platform_clip_floats(v, bound) }

    @_transparent static func fma(_ a: FloatLanes, _ b: FloatLanes, _ c: FloatLanes) -> FloatLanes {
        #if STPN_X86_64_V3 || STPN_X86_64_V4 || arch(arm64)
        return stpn_platform_fma_floats(a, b, c)
        #else
        return c + a * b
        #endif
    }

    @inline(__always) static func first(_ count: Int, of row: UnsafePointer<Float>) -> FloatLanes {
        #if STPN_X86_64_V3 || STPN_X86_64_V4 || arch(arm64)
        return stpn_platform_first_floats(row, count)
        #else
        var lanes = FloatLanes.zero
        for i in 0..<count { lanes[i] = row[i] }
        return lanes
        #endif
    }

    @inline(__always) static func powerOfTwo(_ n: FloatLanes) -> FloatLanes {
        // Adding 1.5·2²³ leaves the whole number in the low bits of the significand; the exponent's bias joins it there.
        let shifter: Float = 12_582_912 + 127
        typealias Bits = FloatLanes.MaskStorage
        return unsafeBitCast(unsafeBitCast(n + shifter, to: Bits.self) &<< 23, to: FloatLanes.self)
    }

    @inline(__always)
    static func horizontalSums(
        _ a: FloatLanes, _ b: FloatLanes, _ c: FloatLanes, _ d: FloatLanes
    ) -> SIMD4<Float> {
        stpn_platform_sums_floats(a, b, c, d)
    }

    @inline(__always) static func quarterSums(_ v: FloatLanes) -> SIMD4<Float> {
        #if STPN_X86_64_V4
        let half = v.lowHalf + v.highHalf
        return half.lowHalf + half.highHalf
        #elseif STPN_X86_64_V3
        return v.lowHalf + v.highHalf
        #else
        return v
        #endif
    }
}

extension Double: Real {
    typealias Lanes = DoubleLanes

    @inline(__always) static var isFast: Bool {
        #if STPN_BASELINE
        false
        #else
        true
        #endif
    }
    @inline(__always) static var rowUnit: Int { 8 }
    @inline(__always) static var expTerms: Int { 13 }
    @inline(__always) static var largestExponent: Double { 708 }
    @inline(__always) static func libmTanh(_ x: Double) -> Double { stpn_platform_tanh(x) }
    @inline(__always) static func libmExp(_ x: Double) -> Double { stpn_platform_exp(x) }

    @_transparent
    static func select(
        _ a: DoubleLanes, lessThan b: DoubleLanes, _ yes: DoubleLanes, else no: DoubleLanes
    ) -> DoubleLanes {
        stpn_platform_select_doubles(a, b, yes, no)
    }

    @_transparent
    static func clip(_ v: DoubleLanes, _ bound: DoubleLanes) -> DoubleLanes { stpn_platform_clip_doubles(v, bound) }

    @_transparent static func fma(_ a: DoubleLanes, _ b: DoubleLanes, _ c: DoubleLanes) -> DoubleLanes {
        #if STPN_X86_64_V3 || STPN_X86_64_V4 || arch(arm64)
        return stpn_platform_fma_doubles(a, b, c)
        #else
        return c + a * b
        #endif
    }

    @inline(__always) static func first(_ count: Int, of row: UnsafePointer<Double>) -> DoubleLanes {
        #if STPN_X86_64_V3 || STPN_X86_64_V4 || arch(arm64)
        return stpn_platform_first_doubles(row, count)
        #else
        var lanes = DoubleLanes.zero
        for i in 0..<count { lanes[i] = row[i] }
        return lanes
        #endif
    }

    @inline(__always) static func powerOfTwo(_ n: DoubleLanes) -> DoubleLanes {
        // As for Float, with 1.5·2⁵².
        let shifter: Double = 6_755_399_441_055_744 + 1023
        typealias Bits = DoubleLanes.MaskStorage
        return unsafeBitCast(unsafeBitCast(n + shifter, to: Bits.self) &<< 52, to: DoubleLanes.self)
    }

    @inline(__always)
    static func horizontalSums(
        _ a: DoubleLanes, _ b: DoubleLanes, _ c: DoubleLanes, _ d: DoubleLanes
    ) -> SIMD4<Double> {
        stpn_platform_sums_doubles(a, b, c, d)
    }

    @inline(__always) static func quarterSums(_ v: DoubleLanes) -> SIMD4<Double> {
        #if STPN_X86_64_V4
        return v.lowHalf + v.highHalf
        #else
        return v
        #endif
    }
}
