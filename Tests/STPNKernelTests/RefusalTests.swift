import STPNKernel
import Testing

/// What users of the module do wrong throws an error that says what was expected and what came.
@Suite struct RefusalTests {
    private let cell: PlasticCell<Float>
    private let x = [Float](repeating: 0.5, count: 2 * 3 * 4)

    init() throws {
        cell = try PlasticCell(.stpn(inputSize: 4, hiddenSize: 5))
    }

    private func expect<R>(
        _ reason: STPNError.Reason, _ message: String, sourceLocation: SourceLocation = #_sourceLocation,
        _ body: () throws(STPNError) -> R
    ) {
        do {
            _ = try body()
            Issue.record("nothing was thrown, expected: \(message)", sourceLocation: sourceLocation)
        } catch {
            #expect(error.reason == reason, sourceLocation: sourceLocation)
            #expect("\(error)" == message, sourceLocation: sourceLocation)
            #expect(message.hasPrefix(error.argument + ": "), sourceLocation: sourceLocation)
        }
    }

    @Test func configurations() {
        expect(.size, "input_size: expected 1 or more, got 0") { () throws(STPNError) in
            try CellConfiguration.stpn(inputSize: 0, hiddenSize: 5)
        }
        expect(.size, "hidden_size: expected 1 or more, got -1") { () throws(STPNError) in
            try CellConfiguration.hebbFF(inputSize: 4, hiddenSize: -1)
        }
        expect(
            .size,
            "hidden_size: (H, I + H) synapses exceed the address space, with H = \(Int.max) and I = \(Int.max)"
        ) { () throws(STPNError) in
            try CellConfiguration.modulated(inputSize: .max, hiddenSize: .max)
        }
        expect(.option, "clamp: expected 0 or more, got -0.5") { () throws(STPNError) in
            try CellConfiguration.stpn(inputSize: 4, hiddenSize: 5, clamp: -0.5)
        }
        expect(.option, "clamp: expected 0 or more, got nan") { () throws(STPNError) in
            try CellConfiguration.stpn(inputSize: 4, hiddenSize: 5, clamp: .nan)
        }
        expect(.option, "norm_gain: expected a normalize for the gain to scale, got None") { () throws(STPNError) in
            try CellConfiguration.stpn(inputSize: 4, hiddenSize: 5, normalize: .none, normGain: true)
        }
        expect(
            .option, "plastic: expected \"all\" or \"input\" in a feed-forward cell, got \"hidden\""
        ) { () throws(STPNError) in
            try CellConfiguration.stpn(inputSize: 4, hiddenSize: 5, recurrent: false, plastic: .hidden)
        }
        for steps in [0, 1025, -1, Int(Int32.max) + 1] {
            expect(.option, "inner_steps: expected 1 to 1024, got \(steps)") { () throws(STPNError) in
                try CellConfiguration.fastWeights(inputSize: 4, hiddenSize: 5, innerSteps: steps)
            }
        }
    }

    @Test func sizesOfACall() {
        let some = [Float](repeating: 0, count: 7)
        expect(.size, "x: expected (B,T,I) = (2, 3, 4), 24 numbers, got 7") { () throws(STPNError) in
            try cell.forward(some.span, batch: 2, time: 3)
        }
        expect(.size, "x: expected (B,T,I) = (3, 2, 4), 24 numbers, got 7") { () throws(STPNError) in
            try cell.energy(some.span, batch: 3, time: 2)
        }
        expect(.size, "batch: expected 0 or more, got -2") { () throws(STPNError) in
            try cell.run(x.span, batch: -2, time: -3)
        }
        expect(.size, "time: expected 0 or more, got -3") { () throws(STPNError) in
            try cell.run(x.span, batch: 2, time: -3)
        }
        expect(
            .size, "time: (B, T, 5) exceeds the address space, with B = 2 and T = \(Int.max)"
        ) { () throws(STPNError) in try cell.run(x.span, batch: 2, time: .max) }
        expect(.size, "batch: expected 0 or more, got -1") { () throws(STPNError) in try cell.initialState(batch: -1) }
        for batch in [Int.max, Int.max / 5, Int.max / 50, Int.max / 100] {
            expect(.size, "batch: the arrays exceed the address space, with B = \(batch)") { () throws(STPNError) in
                try cell.initialState(batch: batch)
            }
        }
        let resets = [true]
        expect(.size, "resets: expected (B,T) = (2, 3), 6 numbers, got 1") { () throws(STPNError) in
            try cell.forward(x.span, batch: 2, time: 3, resets: resets.span)
        }
        var other = cell
        other.threads = -1
        expect(.size, "threads: expected 0 or more, got -1") { () throws(STPNError) in
            try other.forward(x.span, batch: 2, time: 3)
        }
    }

    @Test func states() throws {
        let three = try cell.initialState(batch: 3)
        expect(.size, "state.h: expected the shape (2, 5), got (3, 5)") { () throws(STPNError) in
            try cell.forward(x.span, batch: 2, time: 3, state: three)
        }
        expect(
            .size, "state: expected the arrays h, F, got weight, bias, weight_lambda, weight_gamma"
        ) { () throws(STPNError) in try cell.run(x.span, batch: 2, time: 3, state: cell.parameters) }
        var short = try cell.initialState(batch: 2)
        short.values.removeLast()
        expect(.size, "state.values: expected 100 numbers, got 99") { () throws(STPNError) in
            try cell.run(x.span, batch: 2, time: 3, state: short)
        }
        expect(.size, "values: expected 100 numbers, got 99") { () throws(STPNError) in try short["F"] }
    }

    @Test func parameters() throws {
        var changed = cell
        changed.parameters.values.append(1)
        expect(.size, "parameters.values: expected 140 numbers, got 141") { () throws(STPNError) in
            try changed.forward(x.span, batch: 2, time: 3)
        }
        changed.parameters = try PlasticCell<Float>(.stpn(inputSize: 4, hiddenSize: 6)).parameters
        expect(.size, "parameters.weight: expected the shape (5, 9), got (6, 10)") { () throws(STPNError) in
            try changed.forward(x.span, batch: 2, time: 3)
        }
        expect(
            .size, "wait: expected one of the arrays weight, bias, weight_lambda, weight_gamma"
        ) { () throws(STPNError) in try cell.parameters["wait"] }
        expect(.size, "bias: expected 6 numbers, got 1") { () throws(STPNError) in
            try changed.parameters.set("bias", to: [1])
        }
    }

    @Test func backward() throws {
        let (y, _, tape) = try cell.forward(x.span, batch: 2, time: 3)
        expect(.size, "gradY: expected (B,T,H) = (2, 3, 5), 30 numbers, got 24") { () throws(STPNError) in
            try cell.backward(tape, gradY: x.span)
        }
        let gradState = try cell.initialState(batch: 1)
        expect(.size, "gradState.h: expected the shape (2, 5), got (1, 5)") { () throws(STPNError) in
            try cell.backwardParameters(tape, gradY: y.span, gradState: gradState)
        }
        for configuration: CellConfiguration in [
            try .stpn(inputSize: 4, hiddenSize: 5, clamp: 1), try .stpn(inputSize: 4, hiddenSize: 50),
            try .hebbFF(inputSize: 4, hiddenSize: 5),
        ] {
            let other = try PlasticCell<Float>(configuration)
            expect(
                .tape, "tape: expected the tape of this cell, batch, time and implementation, got another"
            ) { () throws(STPNError) in try other.backward(tape, gradY: nil) }
        }
    }

    @Test func aRefusedStepChangesNothing() throws {
        var state = try cell.initialState(batch: 2)
        state.values = state.values.indices.map { Float($0) }
        let before = state
        var y = [Float](repeating: 7, count: 9)
        expect(.size, "y: expected (B,H) = (2, 5), 10 numbers, got 9") { () throws(STPNError) in
            var span = y.mutableSpan
            try cell.step(x.span.extracting(0..<8), state: &state, y: &span)
        }
        expect(.size, "x: expected (B,I) = (2, 4), 8 numbers, got 24") { () throws(STPNError) in
            try cell.step(x.span, state: &state)
        }
        #expect(state == before)
        #expect(y == [Float](repeating: 7, count: 9))
    }

    @Test func memoryThatIsNotThere() throws {
        #if arch(x86_64) || arch(arm64)
        let batch = 1 << 45
        expect(
            .memory, "memory: expected \(batch * 50 * 4) bytes, which the system does not have"
        ) { () throws(STPNError) in try cell.initialState(batch: batch) }
        let none: [Float] = []
        do {
            _ = try cell.forward(none.span, batch: batch, time: 0)
            Issue.record("nothing was thrown")
        } catch { #expect(error.reason == .memory) }
        #endif
    }

    @Test func otherNumberTypes() {
        expect(.option, "dtype: expected Float or Double, got \(OtherNumber.self)") { () throws(STPNError) in
            try PlasticCell<OtherNumber>(.hebbFF(inputSize: 4, hiddenSize: 5))
        }
    }
}

#if arch(arm64)
private typealias OtherNumber = Float16
#else
private typealias OtherNumber = Float80
#endif
extension OtherNumber: CellScalar {}
