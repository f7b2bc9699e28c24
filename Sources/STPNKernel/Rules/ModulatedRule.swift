/// The arithmetic of row j of the synapses of N samples of a modulated cell (docs/cells.md, section 5): the read of (13) and
/// the update (14), (15), and their adjoints. The options that change it are types, as in STPNRule.swift, but for the two
/// additions that forget, which share a loop.
protocol ModulatedRule {
    /// M is the eligibility trace E, and not the outer product D.
    static var traces: Bool { get }
    /// (1 - m) F + m M, or F + m M - |m M| F
    static var forgets: Bool { get }
}

enum ModulatedRuleOf<Traces: Flag, Forgets: Flag>: ModulatedRule {
    @inline(__always) static var traces: Bool { Traces.value }
    @inline(__always) static var forgets: Bool { Forgets.value }
}

/// A pass over synapses that waits for its rule.
protocol ModulatedRulePass {
    func run<R: ModulatedRule>(_: R.Type)
}

extension Modulated {
    /// Runs a pass with the rule that the options make.
    func withRule<P: ModulatedRulePass>(_ pass: P) {
        traces ? withRule(pass, Yes.self) : withRule(pass, No.self)
    }

    private func withRule<P: ModulatedRulePass, Traces: Flag>(_ pass: P, _: Traces.Type) {
        switch addition {
        // Without a clip c is infinite.
        case .plain, .clipped: pass.run(ModulatedRuleOf<Traces, No>.self)
        case .replacing, .saturating: pass.run(ModulatedRuleOf<Traces, Yes>.self)
        }
    }
}

struct ModulatedRow<T: Real, let N: Int> {
    typealias V = T.Lanes

    /// H, padded with zeros
    let width: Int
    let w: UnsafePointer<T>
    let alpha: UnsafePointer<T>
    let clamp: T
    /// Of the rules that forget: F + m M - |m M| F, and not (1 - m) F + m M
    let saturates: Bool
    /// etaet; unused without a trace
    let eta: T
    /// F of the first sample, in the adjoint between the two steps, and E; those of the others lie `stateStride` apart.
    let F: UnsafeMutablePointer<T>
    let E: UnsafeMutablePointer<T>
    let stateStride: Int
    /// h_{t-1} of the step that reads, and of the step that updates
    let v: UnsafePointer<T>
    let u: UnsafePointer<T>
    let rowStride: Int
    /// Of the step that updates: h_j, and m
    let h: InlineArray<N, T>
    let m: InlineArray<N, T>

    /// m M
    @inline(__always)
    static func added<R: ModulatedRule>(_ e: V, u: V, h: T, m: T, _: R.Type) -> V {
        R.traces ? e * m : u * (h * m)
    }

    /// The new F. The same operations in the pass forward and in its replay, so the same bits.
    @_transparent
    static func updated<R: ModulatedRule>(
        _ f: V, _ e: V, u: V, h: T, m: T, clamp: T, saturates: Bool, _: R.Type
    ) -> V {
        let added = added(e, u: u, h: h, m: m, R.self)
        if !R.forgets { return T.clip(f + added, V(repeating: clamp)) }
        if !saturates { return fma(f, 1 - m, added) }
        return T.clip(f + added - absolute(added, T.self) * f, V(repeating: clamp))
    }

    /// The new E
    @inline(__always)
    static func traced(_ e: V, u: V, h: T, eta: T) -> V { fma(e, 1 - eta, u * (h * eta)) }

    /// Updates the row, reads it, or both; adds Σ (w + α F) v to the vectors of the samples.
    @inline(__always)
    func advance<R: ModulatedRule, P: Phase>(_: R.Type, _: P.Type, _ dot: inout InlineArray<N, V>) {
        var k = 0
        while k < width {
            let (w, alpha) = P.reads ? (w.lanes(k), alpha.lanes(k)) : (.zero, .zero)
            Samples<N>.forEach { i in
                let Fi = F + i &* stateStride
                var f = Fi.lanes(k)
                if P.updates {
                    let u = (u + i &* rowStride).lanes(k)
                    let e = R.traces ? (E + i &* stateStride).lanes(k) : .zero
                    f = Self.updated(f, e, u: u, h: h[i], m: m[i], clamp: clamp, saturates: saturates, R.self)
                    Fi.store(f, k)
                    if R.traces { (E + i &* stateStride).store(Self.traced(e, u: u, h: h[i], eta: eta), k) }
                }
                if P.reads { dot[i] = fma(fma(alpha, f, w), (v + i &* rowStride).lanes(k), dot[i]) }
            }
            k &+= V.scalarCount
        }
    }

    /// Adds Σ |w + α F| v² of the row as it was just read.
    func energy(_ sums: inout InlineArray<N, V>) {
        var k = 0
        while k < width {
            let (w, alpha) = (w.lanes(k), alpha.lanes(k))
            Samples<N>.forEach { i in
                let v = (v + i &* rowStride).lanes(k)
                let G = fma(alpha, (F + i &* stateStride).lanes(k), w)
                sums[i] = fma(absolute(G, T.self), v * v, sums[i])
            }
            k &+= V.scalarCount
        }
    }
}

/// What the adjoint of a pass needs of row j, beyond the row itself. In front of the row's F and E lie those before the step
/// that ended.
struct ModulatedAdjointRow<T: Real, let N: Int> {
    typealias V = T.Lanes

    let row: ModulatedRow<T, N>
    /// F, and E, before the step that ended lie so far in front of those between the steps.
    let stepStride: Int
    /// The gradients for F and E: in, between the steps, without what the read passes on; out, before the step that ended.
    let gradF: UnsafeMutablePointer<T>
    let gradE: UnsafeMutablePointer<T>
    let gradStride: Int
    /// The gradients for v and u, (H) each, of the first sample; accumulated.
    let gradV: UnsafeMutablePointer<T>
    let gradU: UnsafeMutablePointer<T>
    let gradRowStride: Int
    /// Row j of the gradients for the parameters; accumulated.
    let gradW: UnsafeMutablePointer<T>
    let gradAlpha: UnsafeMutablePointer<T>
    /// Of the step that began
    let gradDot: InlineArray<N, T>

    /// Vectors whose elements are still to be summed.
    struct Sums {
        /// Σ GD u over m or etaet: from it follow the gradients for h_j and, over all rows, for m or etaet.
        var hebb: InlineArray<N, V>
        /// The gradient for m beyond that: with a trace Σ GM E, where m replaces -Σ GF F
        var modulator: InlineArray<N, V>
        /// Σ GE E, with a trace
        var trace: InlineArray<N, V>

        init() {
            hebb = .init(repeating: .zero)
            modulator = .init(repeating: .zero)
            trace = .init(repeating: .zero)
        }
    }

    /// The adjoint of `advance`: of the read of the step that began, then of the update of the step that ended.
    @inline(__always)
    func retreat<R: ModulatedRule, P: Phase>(_: R.Type, _: P.Type) -> Sums {
        var sums = Sums()
        var k = 0
        while k < row.width {
            let (w, alpha) = P.reads ? (row.w.lanes(k), row.alpha.lanes(k)) : (.zero, .zero)
            var (gW, gAlpha) = P.reads ? (gradW.lanes(k), gradAlpha.lanes(k)) : (.zero, .zero)
            Samples<N>.forEach { i in
                let f = (row.F + i &* row.stateStride).lanes(k)
                let gF = gradF + i &* gradStride
                var g = gF.lanes(k)
                if P.reads {
                    let gG = (row.v + i &* row.rowStride).lanes(k) * gradDot[i]
                    let gV = gradV + i &* gradRowStride
                    gV.store(fma(fma(alpha, f, w), gradDot[i], gV.lanes(k)), k)
                    gW += gG
                    gAlpha = fma(gG, f, gAlpha)
                    g = fma(alpha, gG, g)
                }
                if P.updates { g = updateAdjoint(R.self, i, k, f, g, &sums) }
                gF.store(g, k)
            }
            if P.reads {
                gradW.store(gW, k)
                gradAlpha.store(gAlpha, k)
            }
            k &+= V.scalarCount
        }
        return sums
    }

    /// (15), (14): from the gradient for F after the update to that for F before it.
    @_transparent
    private func updateAdjoint<R: ModulatedRule>(
        _: R.Type, _ i: Int, _ k: Int, _ f: V, _ g: V, _ sums: inout Sums
    ) -> V {
        let (h, m) = (row.h[i], row.m[i])
        let u = (row.u + i &* row.rowStride).lanes(k)
        let before = i &* row.stateStride &- stepStride
        let e = R.traces ? (row.E + before).lanes(k) : .zero
        let clips = !R.forgets || row.saturates
        let masked = clips ? unclipped(f, V(repeating: row.clamp), g, T.self) : g
        var (gBefore, gAdded) = (masked, masked)
        if R.forgets {
            let fBefore = (row.F + before).lanes(k)
            if row.saturates {
                let added = ModulatedRow<T, N>.added(e, u: u, h: h, m: m, R.self)
                // The derivative of |added|, 0 at 0
                let slope = T.select(
                    .zero, lessThan: added, fBefore, else: T.select(added, lessThan: .zero, -fBefore, else: .zero))
                gBefore = masked - masked * absolute(added, T.self)
                gAdded = masked - masked * slope
            } else {
                gBefore = masked * (1 - m)
                sums.modulator[i] = sums.modulator[i] - masked * fBefore
            }
        }
        let gU = gradU + i &* gradRowStride
        if R.traces {
            let gE = gradE + i &* gradStride
            let gTrace = gE.lanes(k)
            sums.modulator[i] = fma(gAdded, e, sums.modulator[i])
            sums.trace[i] = fma(gTrace, e, sums.trace[i])
            sums.hebb[i] = fma(gTrace, u, sums.hebb[i])
            gU.store(fma(gTrace, row.eta * h, gU.lanes(k)), k)
            gE.store(fma(gTrace, 1 - row.eta, gAdded * m), k)
        } else {
            sums.hebb[i] = fma(gAdded, u, sums.hebb[i])
            gU.store(fma(gAdded, m * h, gU.lanes(k)), k)
        }
        return gBefore
    }
}
