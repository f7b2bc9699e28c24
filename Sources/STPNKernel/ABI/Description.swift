import CPlatform
import CSTPN

/// The names of the values of an option, for `stpn_cell_set_name` and for messages.
private struct Names {
    let values: [(name: StaticString, value: Int32)]
    /// What None stands for, where it is allowed.
    var none: Int32? = nil

    static var cell: Names { Names(values: [("stpn", Int32(STPN_CELL_STPN))]) }
    static var type: Names {
        Names(values: [("float32", NumberType.float32.rawValue), ("float64", NumberType.float64.rawValue)])
    }
    static var normalize: Names {
        typealias Normalize = STPN.Normalize
        return Names(
            values: [
                ("output", Normalize.output.rawValue), ("pre", Normalize.pre.rawValue),
                ("post", Normalize.post.rawValue),
            ], none: Normalize.none.rawValue)
    }

    func find(_ option: String, _ name: UnsafePointer<CChar>?) throws(Failure) -> Int32 {
        guard let name else {
            guard let none else { throw Failure(.option, option, "expected \(list), got None") }
            return none
        }
        for (candidate, value) in values where equal(name, candidate) {
            return value
        }
        throw Failure(.option, option, "expected \(list), got \"\(text(name))\"")
    }

    private var list: String {
        var list = "one of "
        for (name, _) in values {
            list += (list.utf8.count > 7 ? ", \"" : "\"") + name.description + "\""
        }
        return none == nil ? list : list + ", None"
    }
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
        // Bytes of other scripts are no letters by themselves.
        let byte = UInt8(bitPattern: name[i])
        text.unicodeScalars.append(byte < 128 ? Unicode.Scalar(byte) : "?")
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
    /// The defaults of a kind of cell; docs/cells.md, section 1.
    init(kind: Int32) throws(Failure) {
        try Self.checkKind(kind)
        self.init()
        struct_size = MemoryLayout<stpn_cell>.size
        cell = kind
        dtype = NumberType.float32.rawValue
        clamp = .infinity
        normalize = STPN.Normalize.pre.rawValue
        bias = 1
    }

    init(name: UnsafePointer<CChar>) throws(Failure) {
        self = try stpn_cell(kind: try Names.cell.find("cell", name))
    }

    private static func checkKind(_ kind: Int32) throws(Failure) {
        guard kind == Int32(STPN_CELL_STPN) else {
            throw Failure(.option, "cell", "expected STPN_CELL_STPN (\(STPN_CELL_STPN)), got \(kind)")
        }
    }

    private func checkStructSize() throws(Failure) {
        guard struct_size == MemoryLayout<stpn_cell>.size else {
            throw Failure(
                .structSize, "cell", "expected struct_size \(MemoryLayout<stpn_cell>.size), got \(struct_size)")
        }
    }

    mutating func set(_ option: UnsafePointer<CChar>, name: UnsafePointer<CChar>?) throws(Failure) {
        try checkStructSize()
        if equal(option, "dtype") {
            dtype = try Names.type.find("dtype", name)
        } else if equal(option, "normalize") {
            normalize = try Names.normalize.find("normalize", name)
        } else if equal(option, "clamp") {
            guard name == nil else { throw Failure(.option, "clamp", "expected a number or None, got a name") }
            clamp = .infinity
        } else if equal(option, "input_size") || equal(option, "hidden_size") || equal(option, "bias") {
            throw Failure(.option, text(option), "expected a number, got " + (name == nil ? "None" : "a name"))
        } else {
            throw Failure(.option, text(option), "this cell has no such option")
        }
    }

    mutating func set(_ option: UnsafePointer<CChar>, number: Double) throws(Failure) {
        try checkStructSize()
        if equal(option, "input_size") {
            input_size = try whole("input_size", number)
        } else if equal(option, "hidden_size") {
            hidden_size = try whole("hidden_size", number)
        } else if equal(option, "bias") {
            guard number == 0 || number == 1 else {
                throw Failure(.option, "bias", "expected 0 or 1, got \(text(number))")
            }
            bias = number == 1 ? 1 : 0
        } else if equal(option, "clamp") {
            clamp = number
        } else if equal(option, "dtype") || equal(option, "normalize") {
            throw Failure(.option, text(option), "expected a name, got a number")
        } else {
            throw Failure(.option, text(option), "this cell has no such option")
        }
    }

    private func whole(_ option: String, _ number: Double) throws(Failure) -> Int64 {
        guard let value = Int64(exactly: number) else {
            throw Failure(.size, option, "expected a whole number of 64 bits, got \(text(number))")
        }
        return value
    }

    /// What the description says, if it is complete and consistent.
    func checked() throws(Failure) -> (Cell, NumberType) {
        try checkStructSize()
        try Self.checkKind(cell)
        guard let type = NumberType(rawValue: dtype) else {
            throw Failure(.option, "dtype", "expected STPN_FLOAT32 (1) or STPN_FLOAT64 (2), got \(dtype)")
        }
        let inputSize = try checkedSize("input_size", input_size)
        let hiddenSize = try checkedSize("hidden_size", hidden_size)
        // With room to spare: rows are padded, and several matrices of this size are added up.
        let (width, overflow) = inputSize.addingReportingOverflow(hiddenSize)
        guard !overflow, checkedProduct(hiddenSize, width, 1024) != nil else {
            throw Failure(
                .size, "hidden_size",
                "(H, I + H) synapses exceed the address space, with H = \(hidden_size) and I = \(input_size)")
        }
        guard let normalize = STPN.Normalize(rawValue: normalize) else {
            throw Failure(.option, "normalize", "expected one of STPN_NORMALIZE_… (1 to 4), got \(normalize)")
        }
        guard clamp >= 0 else { throw Failure(.option, "clamp", "expected 0 or more, got \(text(clamp))") }
        guard bias == 0 || bias == 1 else { throw Failure(.option, "bias", "expected 0 or 1, got \(bias)") }
        let stpn = STPN(
            inputSize: inputSize, hiddenSize: hiddenSize, normalize: normalize, clamp: clamp, bias: bias == 1)
        return (.stpn(stpn), type)
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
