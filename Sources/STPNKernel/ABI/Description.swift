import CPlatform
import CSTPN

/// The kinds of cells that a caller names; HebbFF is short-term plasticity neurons with options of its own.
enum Kind: Int32, Choice {
    case stpn = 1
    case hebbFF, fastWeights, modulated

    var name: StaticString? {
        switch self {
        case .stpn: "stpn"
        case .hebbFF: "hebbff"
        case .fastWeights: "fast_weights"
        case .modulated: "modulated"
        }
    }
}

/// An option of `stpn_cell`: its name, the kinds that have it, what it may be set to, and its field.
private struct Option {
    let name: StaticString
    let kinds: [Kind]
    let values: Values
    let assign: (inout stpn_cell, Double) -> Void

    init(
        _ name: StaticString, _ kinds: [Kind], _ values: Values, _ assign: @escaping (inout stpn_cell, Double) -> Void
    ) {
        (self.name, self.kinds, self.values, self.assign) = (name, kinds, values, assign)
    }

    static var all: [Option] {
        [
            Option("dtype", Kind.allCases, .choice(NumberType.self)) { $0.dtype = Int32($1) },
            Option("input_size", Kind.allCases, .size) { $0.input_size = Int64($1) },
            Option("hidden_size", Kind.allCases, .size) { $0.hidden_size = Int64($1) },
            Option("recurrent", [.stpn, .hebbFF], .flag) { $0.recurrent = Int32($1) },
            Option("plastic", [.stpn], .choice(STPN.Plastic.self)) { $0.plastic = Int32($1) },
            Option("plasticity_shape", [.stpn], .choice(STPN.PlasticityShape.self)) { $0.plasticity_shape = Int32($1) },
            Option("normalize", [.stpn], .choice(STPN.Normalize.self)) { $0.normalize = Int32($1) },
            Option("norm_axis", [.stpn], .choice(STPN.NormAxis.self)) { $0.norm_axis = Int32($1) },
            Option("norm_gain", [.stpn], .flag) { $0.norm_gain = Int32($1) },
            Option("decay", [.stpn], .choice(STPN.Decay.self)) { $0.decay = Int32($1) },
            Option("rule", [.stpn], .choice(STPN.Rule.self)) { $0.rule = Int32($1) },
            Option("presynaptic", [.stpn], .choice(STPN.Presynaptic.self)) { $0.presynaptic = Int32($1) },
            Option("clamp", [.stpn], .bound) { $0.clamp = $1 },
            Option("bias", [.stpn], .flag) { $0.bias = Int32($1) },
            Option("plastic_bias", [.stpn], .flag) { $0.plastic_bias = Int32($1) },
            Option("layer_norm", [.stpn, .fastWeights], .flag) { $0.layer_norm = Int32($1) },
            Option("activation", [.stpn, .fastWeights], .choice(Activation.self)) { $0.activation = Int32($1) },
            Option("forced", [.hebbFF], .flag) { $0.forced = Int32($1) },
            Option("inner_steps", [.fastWeights], .count) { $0.inner_steps = Int32($1) },
            Option("kind", [.modulated], .choice(Modulated.Kind.self)) { $0.kind = Int32($1) },
            Option("addpw", [.modulated], .count) { $0.addpw = Int32($1) },
            Option("da", [.modulated], .choice(Modulated.Modulator.self)) { $0.da = Int32($1) },
        ]
    }

    /// What a caller's value stands for.
    func number(_ value: Value) throws(Failure) -> Double {
        switch (values, value) {
        case (.choice(let choices), .name(let name)):
            for choice in choices where isSame(name, choice.name) { return choice.number }
            throw failure("one of " + list(choices), value)
        case (.choice(let choices), _):
            throw failure("one of " + list(choices), value)
        case (.bound, .name(nil)):
            return .infinity
        case (.bound, .number(let number)):
            return number
        case (.flag, .number(let number)) where number == 0 || number == 1:
            return number
        case (.size, .number(let number)) where Int64(exactly: number) != nil:
            return number
        case (.count, .number(let number)) where Int32(exactly: number) != nil:
            return number
        case (.bound, _): throw failure("a number or None", value)
        case (.flag, _): throw failure("0 or 1", value)
        case (.size, .number): throw failure("a whole number of 64 bits", value, .size)
        case (.count, .number): throw failure("a whole number of 32 bits", value)
        case (.size, _), (.count, _): throw failure("a number", value)
        }
    }

    private func failure(_ expected: String, _ value: Value, _ status: Failure.Status = .option) -> Failure {
        let came =
            switch value {
            case .name(nil): "None"
            case .name(let name?): "\"" + text(name) + "\""
            case .number(let number): text(number)
            }
        return Failure(status, name.description, "expected " + expected + ", got " + came)
    }

    private func list(_ choices: [Values.Named]) -> String {
        choices.reduce("") { $0 + ($0.isEmpty ? "" : ", ") + ($1.name.map { "\"\($0)\"" } ?? "None") }
    }

    private func isSame(_ name: UnsafePointer<CChar>?, _ expected: StaticString?) -> Bool {
        guard let name, let expected else { return name == nil && expected == nil }
        return equal(name, expected)
    }
}

/// What an option may be set to.
private enum Values {
    typealias Named = (name: StaticString?, number: Double)

    case choice([Named])
    case flag
    case size
    case count
    /// None: infinity
    case bound

    static func choice<C: Choice>(_: C.Type) -> Values {
        .choice(C.allCases.map { ($0.name, Double($0.rawValue)) })
    }
}

/// What a caller sets an option to.
private enum Value {
    /// NULL stands for None.
    case name(UnsafePointer<CChar>?)
    case number(Double)
}

func equal(_ name: UnsafePointer<CChar>, _ expected: StaticString) -> Bool {
    var i = 0
    while i < expected.utf8CodeUnitCount {
        // A shorter name ends with a zero here, which is no letter of the expected one.
        if UInt8(bitPattern: name[i]) != expected.utf8Start[i] { return false }
        i += 1
    }
    return name[i] == 0
}

/// The beginning of a caller's string, for a message.
func text(_ name: UnsafePointer<CChar>) -> String {
    var text = ""
    var i = 0
    while name[i] != 0 && i < 40 {
        // Bytes of other scripts are no letters by themselves, and a message is one line.
        let byte = UInt8(bitPattern: name[i])
        text.unicodeScalars.append((32..<127).contains(byte) ? Unicode.Scalar(byte) : "?")
        i += 1
    }
    return text
}

/// A number, for a message: Embedded Swift does not print floating-point numbers.
private func text(_ number: Double) -> String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 32) { room in
        stpn_platform_format(number, room.baseAddress!)
        return text(UnsafePointer(room.baseAddress!))
    }
}

extension stpn_cell {
    /// The defaults of a kind of cell.
    init(kind number: Int32) throws(Failure) {
        self.init()
        struct_size = MemoryLayout<stpn_cell>.size
        cell = number
        dtype = NumberType.float32.rawValue
        switch try choice("cell", cell) as Kind {
        case .stpn:
            clamp = .infinity
            recurrent = 1
            plastic = STPN.Plastic.all.rawValue
            plasticity_shape = STPN.PlasticityShape.synapse.rawValue
            normalize = STPN.Normalize.pre.rawValue
            norm_axis = STPN.NormAxis.neuron.rawValue
            decay = STPN.Decay.stp.rawValue
            rule = STPN.Rule.hebb.rawValue
            presynaptic = STPN.Presynaptic.previous.rawValue
            bias = 1
            activation = Activation.tanh.rawValue
        case .hebbFF:
            forced = 1
        case .fastWeights:
            inner_steps = 1
            layer_norm = 1
            activation = Activation.tanh.rawValue
        case .modulated:
            kind = Modulated.Kind.modplast.rawValue
            addpw = Modulated.Addition.clipped.rawValue
            da = Modulated.Modulator.tanh.rawValue
        }
    }

    init(name: UnsafePointer<CChar>) throws(Failure) {
        let kinds = Option("cell", [], .choice(Kind.self)) { $0.cell = Int32($1) }
        self = try stpn_cell(kind: Int32(try kinds.number(.name(name))))
    }

    mutating func set(_ name: UnsafePointer<CChar>, name value: UnsafePointer<CChar>?) throws(Failure) {
        try set(name, .name(value))
    }

    mutating func set(_ name: UnsafePointer<CChar>, number: Double) throws(Failure) {
        try set(name, .number(number))
    }

    private mutating func set(_ name: UnsafePointer<CChar>, _ value: Value) throws(Failure) {
        let kind: Kind = try choice("cell", cell)
        for option in Option.all where equal(name, option.name) && option.kinds.contains(kind) {
            return option.assign(&self, try option.number(value))
        }
        throw Failure(.option, text(name), "a cell of the kind \"\(kind.name!)\" has no such option")
    }

    // MARK: What the description says, if it is complete and consistent

    func checked() throws(Failure) -> (Cell, NumberType) {
        let kind: Kind = try choice("cell", cell)
        let type: NumberType = try choice("dtype", dtype)
        let inputSize = try checkedSize("input_size", input_size)
        let hiddenSize = try checkedSize("hidden_size", hidden_size)
        // With room to spare: rows are padded, and several matrices of this size are added up.
        let (width, overflow) = inputSize.addingReportingOverflow(hiddenSize)
        guard !overflow, checkedProduct(hiddenSize, width, 1024) != nil else {
            throw Failure(
                .size, "hidden_size",
                "(H, I + H) synapses exceed the address space, with H = \(hidden_size) and I = \(input_size)")
        }
        let cell: Cell =
            switch kind {
            case .stpn: .stpn(try checkedSTPN(inputSize, hiddenSize))
            case .hebbFF: .stpn(try checkedHebbFF(inputSize, hiddenSize))
            case .fastWeights: .fastWeights(try checkedFastWeights(inputSize, hiddenSize))
            case .modulated: .modulated(try checkedModulated(inputSize, hiddenSize))
            }
        return (cell, type)
    }

    private func checkedSTPN(_ inputSize: Int, _ hiddenSize: Int) throws(Failure) -> STPN {
        guard clamp >= 0 else { throw Failure(.option, "clamp", "expected 0 or more, got \(text(clamp))") }
        let cell = STPN(
            inputSize: inputSize, hiddenSize: hiddenSize, recurrent: try flag("recurrent", recurrent),
            plastic: try choice("plastic", plastic),
            plasticityShape: try choice("plasticity_shape", plasticity_shape),
            normalize: try choice("normalize", normalize), normAxis: try choice("norm_axis", norm_axis),
            normGain: try flag("norm_gain", norm_gain), decay: try choice("decay", decay),
            rule: try choice("rule", rule), presynaptic: try choice("presynaptic", presynaptic), clamp: clamp,
            bias: try flag("bias", bias), plasticBias: try flag("plastic_bias", plastic_bias),
            layerNorm: try flag("layer_norm", layer_norm), activation: try choice("activation", activation))
        if let (option, reason) = cell.contradiction {
            throw Failure(.option, option.description, reason.description)
        }
        return cell
    }

    private func checkedHebbFF(_ inputSize: Int, _ hiddenSize: Int) throws(Failure) -> STPN {
        guard recurrent == 0 else {
            throw Failure(.option, "recurrent", "expected 0, as a HebbFF is feed-forward, got \(recurrent)")
        }
        return .hebbFF(inputSize: inputSize, hiddenSize: hiddenSize, forced: try flag("forced", forced))
    }

    private func checkedFastWeights(_ inputSize: Int, _ hiddenSize: Int) throws(Failure) -> FastWeights {
        guard (1...1024).contains(inner_steps) else {
            throw Failure(.option, "inner_steps", "expected 1 to 1024, got \(inner_steps)")
        }
        return FastWeights(
            inputSize: inputSize, hiddenSize: hiddenSize, innerSteps: Int(inner_steps),
            layerNorm: try flag("layer_norm", layer_norm), activation: try choice("activation", activation))
    }

    private func checkedModulated(_ inputSize: Int, _ hiddenSize: Int) throws(Failure) -> Modulated {
        guard let addition = Modulated.Addition(rawValue: addpw) else {
            throw Failure(.option, "addpw", "expected 0 to 3, got \(addpw)")
        }
        return Modulated(
            inputSize: inputSize, hiddenSize: hiddenSize, kind: try choice("kind", kind), addition: addition,
            modulator: try choice("da", da))
    }

    // MARK: Fields

    private func choice<C: Choice>(_ name: StaticString, _ field: Int32) throws(Failure) -> C {
        guard let value = C(rawValue: field) else {
            throw Failure(.option, name.description, "expected 1 to \(C.allCases.count), got \(field)")
        }
        return value
    }

    private func flag(_ name: StaticString, _ field: Int32) throws(Failure) -> Bool {
        guard field == 0 || field == 1 else {
            throw Failure(.option, name.description, "expected 0 or 1, got \(field)")
        }
        return field == 1
    }

    private func checkedSize(_ name: String, _ size: Int64) throws(Failure) -> Int {
        guard size >= 1 else { throw Failure(.size, name, "expected 1 or more, got \(size)") }
        guard let size = Int(exactly: size) else {
            throw Failure(.size, name, "\(size) exceeds the address space")
        }
        return size
    }
}

extension stpn_array {
    mutating func describe(_ info: ArrayInfo) {
        withUnsafeMutableBytes(of: &name) { copy(info.name.description, to: $0) }
        rank = Int32(info.shape.rank)
        shape = (Int64(info.shape.sizes.0), Int64(info.shape.sizes.1), Int64(info.shape.sizes.2))
        (low, high) = (info.low, info.high)
    }
}
