import CSTPN

@testable import STPNKernel

/// SplitMix64: the same numbers on every machine.
struct Generator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}

extension RunInput {
    /// A run with random numbers: parameters as cells begin, but with rates large enough for F to matter.
    static func random(
        _ variant: Variant, B: Int, T: Int, I: Int, H: Int, state: Bool = true, gradFinal: Bool = true,
        resets: Bool = false, seed: UInt64
    ) throws -> RunInput {
        var generator = Generator(state: seed)
        func uniform(_ count: Int, _ low: Double = -1, _ high: Double = 1) -> [Double] {
            (0..<count).map { _ in Double.random(in: low...high, using: &generator) }
        }
        func values(_ parameter: ArrayInfo) -> [Double] {
            let count = parameter.shape.count
            switch "\(parameter.name)" {
            case "weight_gamma", "bias_gamma": return uniform(count, -0.5, 0.5)
            case "w", "alpha": return uniform(count, -0.3, 0.3)
            case "eta", "etaet": return uniform(count, 0.1, 0.4)
            case _ where parameter.low == parameter.high: return uniform(count, 0.8, 1.2).map { $0 * parameter.low }
            default: return uniform(count, parameter.low, parameter.high)
            }
        }
        let cell = try variant.cell(I: I, H: H)
        let description = try cell.checked().0.summary
        return RunInput(
            cell: cell, batch: B, time: T, x: uniform(B * T * I), parameters: description.parameters.map(values),
            state: description.states.map { state ? uniform(B * $0.shape.count, -0.5, 0.5) : nil },
            resets: resets ? (0..<B * T).map { _ in UInt8.random(in: 0...3, using: &generator) == 0 ? 1 : 0 } : nil,
            gradY: uniform(B * T * H),
            gradFinal: description.states.map { gradFinal ? uniform(B * $0.shape.count) : nil })
    }
}

extension Run {
    /// Every array of results with its name.
    var results: [(name: String, values: [T])] {
        [("y", y), ("energy", energy), ("grad.x", gradX)]
            + final.enumerated().map { ("final[\($0)]", $1) }
            + gradParameters.enumerated().map { ("grad.parameters[\($0)]", $1) }
            + gradState.enumerated().map { ("grad.state[\($0)]", $1) }
    }
}
