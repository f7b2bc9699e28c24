/// The arithmetic of one row of STPN synapses: the read and the update of docs/cells.md, section 1, and their adjoints.
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
    /// asks the options themselves.
    func withRule<P: STPNRulePass>(_ pass: P) {
        clips ? withRule(pass, Yes.self) : withRule(pass, No.self)
    }

    private func withRule<P: STPNRulePass, Clips: Flag>(_ pass: P, _: Clips.Type) {
        switch normalize {
        case .none: pass.run(RuleOf<No, No, No, Clips>.self)
        case .output: pass.run(RuleOf<Yes, No, No, Clips>.self)
        case .pre: pass.run(RuleOf<Yes, Yes, No, Clips>.self)
        case .post: pass.run(RuleOf<Yes, No, Yes, Clips>.self)
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

/// Row j of N samples. Rows are (K) padded with zeros; the samples' rows lie `stateStride` and `rowStride` apart.
struct STPNRow<T: Real, let N: Int> {
    /// K, padded
    let width: Int
    let weight: UnsafePointer<T>
    let lambda: UnsafePointer<T>
    let gamma: UnsafePointer<T>
    let clamp: T
    /// X of the first sample; in the adjoint that before the step.
    let X: UnsafeMutablePointer<T>
    let stateStride: Int
    /// v of the step that reads; unused otherwise.
    let v: UnsafePointer<T>
    /// The plastic columns of the presynaptic vector of the step that updates; unused otherwise.
    let u: UnsafePointer<T>
    let rowStride: Int
    /// h_j of the step that updates
    let h: InlineArray<N, T>
    /// What F̃ = scale · X takes: 1/n with "pre", s with "post", unused otherwise.
    let scale: InlineArray<N, T>
}

/// clip(value, ±c), which lets NaN pass
@inline(__always)
private func clip<T: Real, R: STPNRule>(_ value: T.Lanes, _ clamp: T, _: R.Type) -> T.Lanes {
    guard R.clips else { return value }
    let top = T.Lanes(repeating: clamp)
    let cut = T.select(top, lessThan: value, top, else: value)
    return T.select(cut, lessThan: -top, -top, else: cut)
}

/// Λ∘F̃ + Γ∘D, clipped: the new X. The same operations in the pass forward and in its replay, so the same bits.
@inline(__always)
func updated<T: Real, R: STPNRule>(
    _ x: T.Lanes, lambda: T.Lanes, gamma: T.Lanes, u: T.Lanes, h: T, scale: T, clamp: T, _: R.Type
) -> T.Lanes {
    let decayed = R.dividesBefore || R.dividesAfter ? x * scale : x
    return clip(fma(lambda, decayed, gamma * (u * h)), clamp, R.self)
}

/// What a pass gathers of each row: vectors whose elements are still to be summed.
struct ReadSums<T: Real, let N: Int> {
    /// Σ G v
    var dot: InlineArray<N, T.Lanes>
    /// Σ G²
    var squares: InlineArray<N, T.Lanes>
    /// With "post": s of the row, after the update
    var scale: InlineArray<N, T>
}

extension STPNRow {
    typealias V = T.Lanes

    /// Updates the row, reads it, or both.
    @inline(__always)
    func advance<R: STPNRule, P: Phase>(_: R.Type, _: P.Type) -> ReadSums<T, N> {
        var sums = ReadSums<T, N>(
            dot: .init(repeating: .zero), squares: .init(repeating: .zero), scale: scale)
        if R.dividesAfter && P.updates {
            updateThenNormalize(R.self, &sums)
            if P.reads { read(R.self, &sums) }
            return sums
        }
        var k = 0
        while k < width {
            let w = weight.lanes(k)
            let (lambda, gamma) = P.updates ? (lambda.lanes(k), gamma.lanes(k)) : (.zero, .zero)
            Samples<N>.forEach { i in
                let Xi = X + i &* stateStride
                var x = Xi.lanes(k)
                if P.updates {
                    x = updated(
                        x, lambda: lambda, gamma: gamma, u: (u + i &* rowStride).lanes(k), h: h[i], scale: scale[i],
                        clamp: clamp, R.self)
                    Xi.store(x, k)
                }
                if P.reads {
                    let G = R.dividesAfter ? fma(x, scale[i], w) : w + x
                    sums.dot[i] = fma(G, (v + i &* rowStride).lanes(k), sums.dot[i])
                    if R.normalizes { sums.squares[i] = fma(G, G, sums.squares[i]) }
                }
            }
            k &+= V.scalarCount
        }
        return sums
    }

    @inline(__always)
    private func updateThenNormalize<R: STPNRule>(_: R.Type, _ sums: inout ReadSums<T, N>) {
        var squares = InlineArray<N, V>(repeating: .zero)
        var k = 0
        while k < width {
            let (w, lambda, gamma) = (weight.lanes(k), lambda.lanes(k), gamma.lanes(k))
            Samples<N>.forEach { i in
                let Xi = X + i &* stateStride
                let x = updated(
                    Xi.lanes(k), lambda: lambda, gamma: gamma, u: (u + i &* rowStride).lanes(k), h: h[i],
                    scale: scale[i], clamp: clamp, R.self)
                Xi.store(x, k)
                squares[i] = fma(w + x, w + x, squares[i])
            }
            k &+= V.scalarCount
        }
        Samples<N>.forEach { i in
            sums.scale[i] = inverse(horizontalSum(squares[i], T.self).squareRoot())
        }
    }

    @inline(__always)
    private func read<R: STPNRule>(_: R.Type, _ sums: inout ReadSums<T, N>) {
        var k = 0
        while k < width {
            let w = weight.lanes(k)
            Samples<N>.forEach { i in
                let G = fma((X + i &* stateStride).lanes(k), sums.scale[i], w)
                sums.dot[i] = fma(G, (v + i &* rowStride).lanes(k), sums.dot[i])
                sums.squares[i] = fma(G, G, sums.squares[i])
            }
            k &+= V.scalarCount
        }
    }
}

@inline(__always)
func horizontalSum<T: Real>(_ v: T.Lanes, _: T.Type) -> T {
    let q = T.quarterSums(v)
    return (q[0] + q[1]) + (q[2] + q[3])
}
