import CSTPN
import Foundation
import STPNKernel
import Testing

/// The module as its users see it: nothing internal is visible in this file.
@Suite struct PlasticCellTests {
    private func uniform(_ count: Int, seed: UInt64) -> [Double] {
        var generator = Generator(state: seed)
        return (0..<count).map { _ in Double.random(in: -1...1, using: &generator) }
    }

    private func cell(
        _ configuration: CellConfiguration, seed: UInt64 = 0
    ) throws -> PlasticCell<Double> {
        var generator = Generator(state: seed)
        return try PlasticCell(configuration, using: &generator)
    }

    // MARK: Numbers

    @Test(arguments: GoldenCase.all) func goldenCases(_ golden: GoldenCase) throws {
        try check(golden, Double.self, tolerance: 1e-12)
        try check(golden, Float.self, tolerance: 1e-5)
    }

    private func check<T: CellScalar>(_ golden: GoldenCase, _: T.Type, tolerance: Double) throws {
        func numbers(_ key: String) -> [T]? { golden.values(key).map { $0.map { T($0) } } }
        func expect(_ found: [T], _ key: String) {
            let expected = golden.values(key) ?? []
            let scale = expected.reduce(1) { max($0, abs($1)) }
            let isEqual =
                found.count == expected.count
                && zip(found, expected).allSatisfy { abs(Double($0) - $1) <= tolerance * scale }
            #expect(isEqual, "\(key) in \(T.self)")
        }
        var cell = try PlasticCell<T>(golden.configuration())
        for array in cell.parameters.layout { try cell.parameters.set(array.name, to: numbers("param.\(array.name)")!) }
        let shape = golden.npz.arrays["x"]!.shape
        let (B, T) = (shape[0], shape[1])
        let (x, gradY) = (numbers("x")!, numbers("cotangent.y")!)
        var (state, gradState) = (try cell.initialState(batch: B), try cell.initialState(batch: B))
        for array in state.layout {
            if let values = numbers("state.\(array.name)") { try state.set(array.name, to: values) }
            if let values = numbers("cotangent.final.\(array.name)") { try gradState.set(array.name, to: values) }
        }
        let resets = golden.npz.arrays["resets"].map { $0.bytes.map { $0 != 0 } }

        let (y, final, tape) = try cell.forward(x.span, batch: B, time: T, state: state, resets: resets?.span)
        let gradients = try cell.backward(tape, gradY: gradY.span, gradState: gradState)
        expect(y, "y")
        expect(try cell.energy(x.span, batch: B, time: T, state: state, resets: resets?.span), "energy")
        expect(gradients.x, "grad.x")
        for array in final.layout {
            expect(try final[array.name], "final.\(array.name)")
            if golden.values("grad.state.\(array.name)") != nil {
                expect(try gradients.state[array.name], "grad.state.\(array.name)")
            }
        }
        for array in cell.parameters.layout {
            expect(try gradients.parameters[array.name], "grad.param.\(array.name)")
        }
        let inference = try cell.run(x.span, batch: B, time: T, state: state, resets: resets?.span)
        expect(inference.y, "y")
        #expect(inference.state.layout == final.layout)
        let parameters = try cell.backwardParameters(tape, gradY: gradY.span, gradState: gradState)
        for array in parameters.layout { expect(try parameters[array.name], "grad.param.\(array.name)") }
    }

    @Test func gradientsAreCentralDifferences() throws {
        let (B, T) = (2, 3)
        let cell = try cell(.stpn(inputSize: 3, hiddenSize: 4, normalize: .post, plasticBias: true), seed: 1)
        let x = uniform(B * T * 3, seed: 2)
        let weights = uniform(B * T * 4, seed: 3)
        func loss(_ cell: PlasticCell<Double>, _ x: [Double]) throws -> Double {
            zip(try cell.run(x.span, batch: B, time: T).y, weights).reduce(0) { $0 + $1.0 * $1.1 }
        }
        let gradients = try cell.backward(try cell.forward(x.span, batch: B, time: T).tape, gradY: weights.span)
        func expect(_ gradient: Double, _ name: String, _ loss: (Double) throws -> Double) throws {
            let step = 1e-5
            let slope = try (4 * (loss(step) - loss(-step)) - (loss(2 * step) - loss(-2 * step)) / 2) / (6 * step)
            #expect(abs(slope - gradient) <= 1e-7 * max(1, abs(gradient)), "\(name)")
        }
        for i in x.indices {
            try expect(gradients.x[i], "x[\(i)]") { step in
                var moved = x
                moved[i] += step
                return try loss(cell, moved)
            }
        }
        for i in cell.parameters.values.indices {
            try expect(gradients.parameters.values[i], "parameters[\(i)]") { step in
                var moved = cell
                moved.parameters.values[i] += step
                return try loss(moved, x)
            }
        }
    }

    @Test func stepsAreASequence() throws {
        let (B, T) = (3, 5)
        for configuration: CellConfiguration in [
            try .stpn(inputSize: 2, hiddenSize: 4), try .stpn(inputSize: 2, hiddenSize: 4, recurrent: false),
            try .hebbFF(inputSize: 2, hiddenSize: 4), try .fastWeights(inputSize: 2, hiddenSize: 4, innerSteps: 2),
            try .modulated(inputSize: 2, hiddenSize: 4, kind: .modul),
        ] {
            let cell = try cell(configuration)
            let x = uniform(B * T * 2, seed: 4)
            let (y, final) = try cell.run(x.span, batch: B, time: T)
            var state = try cell.initialState(batch: B)
            /// (B,T,width) at step t
            func now(_ t: Int, _ sequence: [Double], _ width: Int) -> [Double] {
                (0..<B).flatMap { b -> ArraySlice<Double> in sequence[(b * T + t) * width..<(b * T + t + 1) * width] }
            }
            for t in 0..<T {
                let found = try cell.step(now(t, x, 2).span, state: &state)
                #expect(error(found, now(t, y, 4)) <= 1e-12)
            }
            #expect(error(state.values, final.values) <= 1e-12)
        }
    }

    @Test func aTapeIsGoodForAnyNumberOfPasses() throws {
        var cell = try cell(.stpn(inputSize: 3, hiddenSize: 5))
        let (y, _, tape) = try cell.forward(uniform(4 * 6 * 3, seed: 5).span, batch: 4, time: 6)
        let gradients = try cell.backward(tape, gradY: y.span)
        for i in cell.parameters.values.indices { cell.parameters.values[i] += 1 }
        let again = try cell.backward(tape, gradY: y.span)
        #expect(gradients.x == again.x)
        #expect(gradients.state == again.state)
        #expect(gradients.parameters == again.parameters)
        #expect(tape.byteCount > 0)
    }

    @Test func tasksMayCallACellAtOnce() async throws {
        let cell = try cell(.stpn(inputSize: 8, hiddenSize: 16))
        let x = uniform(16 * 10 * 8, seed: 6)
        let (expected, _, tape) = try cell.forward(x.span, batch: 16, time: 10)
        let gradients = try cell.backward(tape, gradY: expected.span)
        try await withThrowingTaskGroup(of: Bool.self) { tasks in
            for _ in 0..<8 {
                tasks.addTask {
                    let (y, _, mine) = try cell.forward(x.span, batch: 16, time: 10)
                    return try y == expected && cell.backward(mine, gradY: y.span).x == gradients.x
                        && cell.backwardParameters(tape, gradY: y.span) == gradients.parameters
                }
            }
            for try await isEqual in tasks { #expect(isEqual) }
        }
    }

    // MARK: Values

    @Test func parametersAreDrawnByTheGenerator() throws {
        let configuration = try CellConfiguration.stpn(inputSize: 3, hiddenSize: 4)
        let cell = try cell(configuration, seed: 7)
        #expect(cell.parameters == (try self.cell(configuration, seed: 7)).parameters)
        #expect(cell.parameters != (try self.cell(configuration, seed: 8)).parameters)
        #expect(cell.parameters.layout.map(\.name) == ["weight", "bias", "weight_lambda", "weight_gamma"])
        #expect(cell.parameters.layout.map(\.shape) == [[4, 7], [4], [4, 7], [4, 7]])
        #expect(try cell.parameters["weight"].allSatisfy { -0.5 <= $0 && $0 < 0.5 })
        #expect(try cell.parameters["weight_lambda"].allSatisfy { 0 <= $0 && $0 < 1 })
        #expect(Set(cell.parameters.values).count == cell.parameters.values.count)
        let constant = try PlasticCell<Float>(.fastWeights(inputSize: 3, hiddenSize: 4))
        #expect(try constant.parameters["weight_gamma"] == [0.5])
    }

    @Test func aCopyIsAnotherCell() throws {
        let cell = try cell(.hebbFF(inputSize: 3, hiddenSize: 4))
        var copy = cell
        try copy.parameters.set("bias", to: [1, 2, 3, 4])
        #expect(try copy.parameters["bias"] == [1, 2, 3, 4])
        #expect(try cell.parameters["bias"] != [1, 2, 3, 4])
        #expect(try cell.parameters["weight"] == copy.parameters["weight"])
    }

    @Test func nothingToDo() throws {
        let cell = try cell(.stpn(inputSize: 3, hiddenSize: 4))
        let (none, noResets): ([Double], [Bool]) = ([], [])
        for (B, T) in [(0, 3), (3, 0), (0, 0)] {
            let (y, final, tape) = try cell.forward(none.span, batch: B, time: T, resets: noResets.span)
            #expect(y.isEmpty && final.values == [Double](repeating: 0, count: B * (4 + 4 * 7)))
            let gradients = try cell.backward(tape, gradY: none.span)
            #expect(gradients.x.isEmpty && gradients.parameters.values.allSatisfy { $0 == 0 })
        }
        var state = try cell.initialState(batch: 0)
        #expect(try cell.step(none.span, state: &state) == [])
    }

    @Test func enumerationsAreTheHeaders() {
        typealias C = CellConfiguration
        func expect<E: CaseIterable & RawRepresentable>(_: E.Type, _ numbers: [Int]) where E.RawValue == Int32 {
            #expect(E.allCases.map(\.rawValue) == numbers.map(Int32.init), "\(E.self)")
        }
        expect(C.Plastic.self, [STPN_PLASTIC_ALL, STPN_PLASTIC_INPUT, STPN_PLASTIC_HIDDEN])
        expect(
            C.PlasticityShape.self, [STPN_SHAPE_SYNAPSE, STPN_SHAPE_NEURON, STPN_SHAPE_PRESYNAPTIC, STPN_SHAPE_SCALAR])
        expect(
            C.Normalize.self,
            [STPN_NORMALIZE_NONE, STPN_NORMALIZE_OUTPUT, STPN_NORMALIZE_PRE, STPN_NORMALIZE_POST])
        expect(C.NormAxis.self, [STPN_NORM_AXIS_NEURON, STPN_NORM_AXIS_LAYER])
        expect(C.Decay.self, [STPN_DECAY_STP, STPN_DECAY_PROMPT])
        expect(C.Rule.self, [STPN_RULE_HEBB, STPN_RULE_OJA])
        expect(C.Presynaptic.self, [STPN_PRESYNAPTIC_PREVIOUS, STPN_PRESYNAPTIC_CURRENT])
        expect(
            C.Activation.self,
            [STPN_ACTIVATION_TANH, STPN_ACTIVATION_SIGMOID, STPN_ACTIVATION_RELU, STPN_ACTIVATION_IDENTITY])
        expect(C.ModulatedKind.self, [STPN_KIND_PLASTIC, STPN_KIND_MODPLAST, STPN_KIND_MODUL])
        expect(C.Addition.self, [0, 1, 2, 3])
        expect(C.Modulator.self, [STPN_DA_TANH, STPN_DA_SIG, STPN_DA_LIN])
    }
}

extension GoldenCase {
    /// The case's configuration by its JSON: names of cases are those of docs/cells.md.
    fileprivate func configuration() throws -> CellConfiguration {
        let json = try #require(
            JSONSerialization.jsonObject(with: Data(npz.arrays["config"]!.string.utf8)) as? [String: Any])
        func size(_ name: String) -> Int { json[name] as! Int }
        func flag(_ name: String, _ usual: Bool) -> Bool { json[name] as? Bool ?? usual }
        func choice<E: CaseIterable>(_ name: String, _ usual: E) -> E {
            guard let value = json[name] else { return usual }
            let text = value is NSNull ? "none" : value as! String
            return E.allCases.first { "\($0)" == text }!
        }
        let (I, H) = (size("input_size"), size("hidden_size"))
        switch json["cell"] as! String {
        case "stpn":
            return try .stpn(
                inputSize: I, hiddenSize: H, recurrent: flag("recurrent", true), plastic: choice("plastic", .all),
                plasticityShape: choice("plasticity_shape", .synapse), normalize: choice("normalize", .pre),
                normAxis: choice("norm_axis", .neuron), normGain: flag("norm_gain", false),
                decay: choice("decay", .stp), rule: choice("rule", .hebb),
                presynaptic: choice("presynaptic", .previous), clamp: json["clamp"] as? Double,
                bias: flag("bias", true), plasticBias: flag("plastic_bias", false),
                layerNorm: flag("layer_norm", false), activation: choice("activation", .tanh))
        case "hebbff":
            return try .hebbFF(inputSize: I, hiddenSize: H, forced: flag("forced", true))
        case "fast_weights":
            return try .fastWeights(
                inputSize: I, hiddenSize: H, innerSteps: json["inner_steps"] as? Int ?? 1,
                layerNorm: flag("layer_norm", true), activation: choice("activation", .tanh))
        default:
            return try .modulated(
                inputSize: I, hiddenSize: H, kind: choice("kind", .modplast),
                addpw: .init(rawValue: Int32(json["addpw"] as? Int ?? 3))!, da: choice("da", .tanh))
        }
    }
}
