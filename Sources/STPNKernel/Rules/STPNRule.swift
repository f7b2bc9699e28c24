/// The arithmetic of STPN synapses, a vector of them at a time: the read and the update of docs/cells.md, section 1, and
/// their adjoints. Which synapses make a vector is left to the walks over them, STPNRow.swift and STPNColumns.swift; what
/// belongs to a neuron or a presynaptic cell comes spread over the vector.
///
/// The options that change it are types, so that the compiler makes one loop without branches for each combination.
/// The synapse state that is stored is X: F itself, or with normalize "post" F before its division, F = s X with s the
/// inverse of the norm of W + X. The division is then never a pass of its own.
protocol STPNRule {
    /// normalize is not None: a norm divides the read.
    static var normalizes: Bool { get }
    /// normalize "pre": F̃ = F / n
    static var dividesBefore: Bool { get }
    /// normalize "post": F = X / ‖W + X‖
    static var dividesAfter: Bool { get }
    /// There is a clamp c.
    static var clips: Bool { get }
}

protocol Flag { static var value: Bool { get } }
enum Yes: Flag { @inline(__always) static var value: Bool { true } }
enum No: Flag { @inline(__always) static var value: Bool { false } }

enum RuleOf<Normalizes: Flag, Before: Flag, After: Flag, Clips: Flag>: STPNRule {
    @inline(__always) static var normalizes: Bool { Normalizes.value }
    @inline(__always) static var dividesBefore: Bool { Before.value }
    @inline(__always) static var dividesAfter: Bool { After.value }
    @inline(__always) static var clips: Bool { Clips.value }
}

/// A pass over synapses that waits for its rule.
protocol STPNRulePass {
    func run<R: STPNRule>(_: R.Type)
}

extension STPN {
    /// Runs a pass with the rule that the options make. Here they become types; what is done per row and not per synapse
    /// asks the options themselves. Only the rule of most networks does without a clip: to the others it is infinite.
    func withRule<P: STPNRulePass>(_ pass: P) {
        switch normalize {
        case .none: pass.run(RuleOf<No, No, No, Yes>.self)
        case .output: pass.run(RuleOf<Yes, No, No, Yes>.self)
        case .pre where clips: pass.run(RuleOf<Yes, Yes, No, Yes>.self)
        case .pre: pass.run(RuleOf<Yes, Yes, No, No>.self)
        case .post: pass.run(RuleOf<Yes, No, Yes, Yes>.self)
        }
    }
}

/// Which parts of a step a pass over the synapses does: the update that ends a step and the read that begins the next are
/// one pass, but for the first step and the last.
protocol Phase {
    static var updates: Bool { get }
    static var reads: Bool { get }
}

enum PhaseOf<Updates: Flag, Reads: Flag>: Phase {
    @inline(__always) static var updates: Bool { Updates.value }
    @inline(__always) static var reads: Bool { Reads.value }
}

typealias UpdateAndRead = PhaseOf<Yes, Yes>
typealias Read = PhaseOf<No, Yes>
typealias Update = PhaseOf<Yes, No>

/// Λ∘F̃ + Γ∘D, clipped to ±bound: the new X, with F̃ = scale · X. The same operations in the pass forward and in its replay,
/// so the same bits.
@_transparent
func updated<T: Real, R: STPNRule>(
    _ x: T.Lanes, lambda: T.Lanes, gamma: T.Lanes, u: T.Lanes, h: T.Lanes, scale: T.Lanes, bound: T.Lanes,
    _: R.Type, _: T.Type
) -> T.Lanes {
    let decayed = R.dividesBefore || R.dividesAfter ? x * scale : x
    // Γ h first: where Γ is 0, as in columns that are not plastic, no large u makes it infinite.
    let value = fma(lambda, decayed, gamma * h * u)
    return R.clips ? T.clip(value, bound) : value
}

/// G = W + F, with F = scale · X where "post" divides
@_transparent
func effective<T: Real, R: STPNRule>(_ x: T.Lanes, weight: T.Lanes, scale: T.Lanes, _: R.Type, _: T.Type) -> T.Lanes {
    R.dividesAfter ? fma(x, scale, weight) : weight + x
}

/// From GX after the step to GF before it: (7) F̃ in the update, (3) G in the dot product, (2) G in the norm. X is the state
/// between the two steps, `g` the gradient for it after the step that began, whose F̃ = scale · X; `gradDot` the gradient for the
/// dot product, `gradNorm` the factor of G in the gradient through the norm. Adds to the gradients for W, Λ and v.
@_transparent
func readAdjoint<T: Real, R: STPNRule>(
    _ x: T.Lanes, _ g: T.Lanes, weight: T.Lanes, lambda: T.Lanes, v: T.Lanes, gradDot: T.Lanes, gradNorm: T.Lanes,
    scale: T.Lanes, gradWeight: inout T.Lanes, gradLambda: inout T.Lanes, gradV: inout T.Lanes, _: R.Type, _: T.Type
) -> T.Lanes {
    let G = effective(x, weight: weight, scale: scale, R.self, T.self)
    let dotted = v * gradDot
    let gG = R.normalizes ? fma(G, gradNorm, dotted) : dotted
    gradWeight += gG
    gradV = fma(G, gradDot, gradV)
    // Both Λ F̃ = Λ · scale · X and, with "pre", the gradient for X take g · scale.
    let scaled = R.dividesBefore || R.dividesAfter ? g * scale : g
    gradLambda = fma(scaled, x, gradLambda)
    return fma(R.dividesBefore ? scaled : g, lambda, gG)
}

/// From GF to GX, both after the update: (7) the clip; gathers what (6) D passes on.
@_transparent
func updateAdjoint<T: Real, R: STPNRule>(
    _ x: T.Lanes, _ g: T.Lanes, u: T.Lanes, h: T.Lanes, learningRate: T.Lanes, bound: T.Lanes, gamma: inout T.Lanes,
    hebb: inout T.Lanes, gradU: inout T.Lanes, _: R.Type, _: T.Type
) -> T.Lanes {
    let masked = R.clips ? unclipped(x, bound, g, T.self) : g
    let gD = masked * learningRate
    gamma = fma(masked, u * h, gamma)
    hebb = fma(gD, u, hebb)
    gradU = fma(gD, h, gradU)
    return masked
}
