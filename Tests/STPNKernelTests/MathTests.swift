import Foundation
import Testing

@testable import STPNKernel

@Suite struct TanhTests {
    /// The distance of a float32 result from the float64 one, in units of the last place.
    @Test func float32IsWithinThreeUlp() {
        var worst: Float = 0
        for i in -40_000...40_000 {
            let x = Float(i) * 3e-4
            worst = max(worst, ulps(lane(x), Float(Foundation.tanh(Double(x)))))
        }
        for exponent in -149...10 {
            for x in [Float(sign: .plus, exponent: exponent, significand: 1.37), -Float.pi * exp2(Float(exponent))] {
                worst = max(worst, ulps(lane(x), Float(Foundation.tanh(Double(x)))))
            }
        }
        #expect(worst <= 3)
    }

    /// libm's tanh is itself within 2 ulp.
    @Test func float64IsWithinFiveUlpOfLibm() {
        var worst: Double = 0
        for i in -40_000...40_000 {
            let x = Double(i) * 5.3e-4
            worst = max(worst, ulps(lane(x), Foundation.tanh(x)))
        }
        #expect(worst <= 5)
    }

    @Test func specialValues() {
        #expect(lane(Float.nan).isNaN && lane(Double.nan).isNaN)
        #expect(lane(Float.infinity) == 1 && lane(-Double.infinity) == -1)
        #expect(lane(-0.0 as Float).sign == .minus && lane(0.0 as Double).sign == .plus)
        #expect(lane(Float.leastNonzeroMagnitude) == .leastNonzeroMagnitude)
        #expect(lane(30 as Float) == 1 && lane(-1e30 as Double) == -1)
    }

    private func lane<T: Real>(_ x: T) -> T { STPNKernel.tanh(T.Lanes(repeating: x), T.self)[0] }

    private func ulps<T: Real>(_ value: T, _ expected: T) -> T { abs(value - expected) / expected.ulp }
}

@Suite struct ArenaTests {
    @Test func measuresWhatItHandsOut() {
        var measured = Arena()
        _ = measured.take(Double.self, 3, 5)
        _ = measured.take(UInt8.self, 1)
        let bytes = measured.requiredBytes!
        let memory = UnsafeMutableRawPointer.allocate(byteCount: bytes + 1, alignment: 64)
        defer { memory.deallocate() }
        var arena = Arena(workspace: memory + 1)
        let first = arena.take(Double.self, 3, 5)
        let second = arena.take(UInt8.self, 1)
        #expect(UnsafeRawPointer(second) >= UnsafeRawPointer(first + 15))
        #expect(UnsafeRawPointer(second) < UnsafeRawPointer(memory) + 1 + bytes)
        #expect(Int(bitPattern: first) % Arena.alignment == 0)
    }

    @Test func noticesSizesThatOverflow() {
        var arena = Arena()
        _ = arena.take(Double.self, Int.max / 4, 3)
        #expect(arena.requiredBytes == nil)
        _ = arena.take(Double.self, 1)
        #expect(arena.requiredBytes == nil)
    }
}
