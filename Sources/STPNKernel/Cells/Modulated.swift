/// Plasticity with and without a neuromodulator (docs/cells.md, section 5): the description of the cell.
///
/// Miconi, Clune, Stanley, "Differentiable plasticity", ICML 2018; Miconi, Rawal, Clune, Stanley, "Backpropamine", ICLR 2019.
struct Modulated: CellDescription {
    /// What a step adds to F, and what scales it.
    enum Kind: Int32, Choice {
        /// The outer product D, times `eta`.
        case plastic = 1
        /// D, times the modulator m.
        case modplast
        /// The eligibility trace E, times m.
        case modul

        var name: StaticString? {
            switch self {
            case .plastic: "plastic"
            case .modplast: "modplast"
            case .modul: "modul"
            }
        }
    }

    /// How m M joins F. The numbers are those of `addpw`.
    enum Addition: Int32, CaseIterable {
        /// (1 - m) F + m M
        case replacing = 0
        /// F + m M
        case plain
        /// F + m M - |m M| F, clipped
        case saturating
        /// F + m M, clipped
        case clipped
    }

    /// The function that makes m.
    enum Modulator: Int32, Choice {
        case tanh = 1
        case sig, lin

        var name: StaticString? {
            switch self {
            case .tanh: "tanh"
            case .sig: "sig"
            case .lin: "lin"
            }
        }

        var activation: Activation {
            switch self {
            case .tanh: .tanh
            case .sig: .sigmoid
            case .lin: .identity
            }
        }
    }

    /// I
    let inputSize: Int
    /// H
    let hiddenSize: Int
    var kind = Kind.modplast
    var addition = Addition.clipped
    var modulator = Modulator.tanh

    /// Whether m is computed from h_t and not a parameter.
    var modulates: Bool { kind != .plastic }
    var traces: Bool { kind == .modul }

    /// c: F is clipped to [-c, c]; infinity for no clip.
    var clamp: Double {
        switch addition {
        case .replacing, .plain: .infinity
        case .saturating: traces ? 0.99999 : 1
        case .clipped: 1
        }
    }

    enum Parameter: Int, CaseIterable {
        case inputWeight, inputBias, w, alpha, eta, modulatorWeight, modulatorBias
    }
    enum State: Int, CaseIterable { case h, F, E }

    func info(_ parameter: Parameter) -> ArrayInfo? {
        let (I, H) = (inputSize, hiddenSize)
        // As torch.nn.Linear begins
        let (inputBound, modulatorBound) = (1 / Double(I).squareRoot(), 1 / Double(H).squareRoot())
        switch parameter {
        case .inputWeight: return ArrayInfo("i2h.weight", Shape(H, I), within: inputBound)
        case .inputBias: return ArrayInfo("i2h.bias", Shape(H), within: inputBound)
        case .w: return ArrayInfo("w", Shape(H, H), low: 0, high: 0.01)
        case .alpha: return ArrayInfo("alpha", Shape(H, H), low: 0, high: 0.01)
        case .eta:
            switch kind {
            case .plastic: return ArrayInfo("eta", Shape(1), all: 0.01)
            case .modplast: return nil
            case .modul: return ArrayInfo("etaet", Shape(1), all: 0.01)
            }
        case .modulatorWeight:
            return modulates ? ArrayInfo("h2DA.weight", Shape(1, H), within: modulatorBound) : nil
        case .modulatorBias: return modulates ? ArrayInfo("h2DA.bias", Shape(1), within: modulatorBound) : nil
        }
    }

    func info(_ state: State) -> ArrayInfo? {
        switch state {
        case .h: ArrayInfo("h", Shape(hiddenSize))
        case .F: ArrayInfo("F", Shape(hiddenSize, hiddenSize))
        case .E: traces ? ArrayInfo("E", Shape(hiddenSize, hiddenSize)) : nil
        }
    }
}

/// The parameters of a cell, or their gradients, on the buffers of a call.
struct ModulatedArrays<Pointer> {
    let inputWeight: Pointer  // (H,I)
    let inputBias: Pointer  // (H)
    let w: Pointer  // (H,H)
    let alpha: Pointer  // (H,H)
    /// `eta` or `etaet`
    let eta: Pointer?  // (1)
    let modulatorWeight: Pointer?  // (1,H)
    let modulatorBias: Pointer?  // (1)

    init(_ cell: Modulated, _ array: (Int) -> Pointer) {
        func find(_ parameter: Modulated.Parameter) -> Pointer? { cell.index(parameter).map(array) }
        (inputWeight, inputBias) = (find(.inputWeight)!, find(.inputBias)!)
        (w, alpha, eta) = (find(.w)!, find(.alpha)!, find(.eta))
        (modulatorWeight, modulatorBias) = (find(.modulatorWeight), find(.modulatorBias))
    }
}
