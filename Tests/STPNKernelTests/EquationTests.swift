import Testing

@testable import STPNKernel

/// The gradients of the plain kernel are those of its outputs: central differences of a random projection.
@Suite struct EquationTests {
    /// The derivative of |m M| at a sign change, of a clip at its bound and of a relu at 0 is no slope: the seed keeps away.
    @Test(arguments: Variant.all) func gradients(_ variant: Variant) throws {
        let input = try RunInput.random(variant, B: 2, T: 3, I: 4, H: 4, seed: 5)
        let gradients = try Run<Double>(input, .plain)

        func loss(_ change: (inout RunInput) -> Void) throws -> Double {
            var changed = input
            change(&changed)
            let run = try Run<Double>(changed, .plain)
            var loss = zip(run.y, input.gradY).reduce(0) { $0 + $1.0 * $1.1 }
            for (final, cotangent) in zip(run.final, input.gradFinal) {
                loss += zip(final, cotangent!).reduce(0) { $0 + $1.0 * $1.1 }
            }
            return loss
        }
        // Of the fourth order: its error, and the rounding of the loss over the step, are both below 1e-10.
        let step = 1e-5
        func expect(_ name: String, _ gradient: [Double], _ element: (Int) -> (inout RunInput, Double) -> Void) throws {
            for i in gradient.indices {
                let change = element(i)
                func slope(_ step: Double) throws -> Double {
                    try (loss { change(&$0, step) } - loss { change(&$0, -step) }) / (2 * step)
                }
                let difference = try (4 * slope(step) - slope(2 * step)) / 3
                #expect(abs(difference - gradient[i]) <= 1e-7 * max(1, abs(gradient[i])), "\(name)[\(i)]")
            }
        }
        try expect("x", gradients.gradX) { i in { $0.x[i] += $1 } }
        for p in input.parameters.indices {
            try expect("parameters[\(p)]", gradients.gradParameters[p]) { i in { $0.parameters[p][i] += $1 } }
        }
        for s in input.state.indices {
            try expect("state[\(s)]", gradients.gradState[s]) { i in { $0.state[s]![i] += $1 } }
        }
    }
}
