/// The equations of docs/cells.md, section 1, for one sample, each step beside its adjoint: plain loops in the order of
/// the text, no blocks, no vectors. This is the specification in code; the fast kernel is tested against it.
struct STPNEquations<T: Real>: Equations {
    typealias Pointer = UnsafeMutablePointer<T>

    let cell: STPN
    private let parameters: STPNArrays<Pointer>

    init(_ cell: STPN, parameters: Concatenation<T>) {
        self.cell = cell
        self.parameters = STPNArrays(cell) { parameters[$0] }
    }

    /// The state of one sample, or its gradient.
    private struct State {
        let h: Pointer?  // (H)
        let F: Pointer  // (H,P)
        let fb: Pointer?  // (H)

        init(_ cell: STPN, _ state: Concatenation<T>) {
            h = cell.index(.h).map { state[$0] }
            F = state[cell.index(.F)!]
            fb = cell.index(.fb).map { state[$0] }
        }
    }

    private var I: Int { cell.inputSize }
    private var H: Int { cell.hiddenSize }
    private var K: Int { cell.presynapticSize }
    private var P: Int { cell.plasticSize }
    private var clamp: T { T(cell.clamp) }

    // MARK: Parameters by neuron and column

    private func lambda(_ j: Int, _ p: Int) -> T { cell.decay(parameters.lambda[cell.rateIndex(j, p)]) }
    private func gamma(_ j: Int, _ p: Int) -> T { cell.rate(parameters.gamma[cell.rateIndex(j, p)]) }

    /// (1) G = W + F in the plastic columns, W in the others
    private func G(_ F: [T], _ j: Int, _ k: Int) -> T {
        let W_jk = parameters.weight[j * K + k]
        let columns = cell.plasticColumns
        return columns.contains(k) ? W_jk + F[j * P + k - columns.lowerBound] : W_jk
    }

    // MARK: Norms

    private struct Norm {
        /// ‖·‖
        let length: T
        /// 1 / n, n = ‖·‖ g + 1e-16. A norm of 0 counts as infinite.
        let inverse: T
    }

    /// (2) the norms of the rows of G, or for each row that of the whole matrix, times the gain
    private func norms(_ F: [T]) -> [Norm] {
        var squares = (0..<H).map { j in (0..<K).reduce(T(0)) { $0 + G(F, j, $1) * G(F, j, $1) } }
        if cell.normAxis == .layer { squares = [T](repeating: squares.reduce(0, +), count: H) }
        return (0..<H).map { j in
            let length = squares[j].squareRoot()
            let n = length * (parameters.normGain?[j] ?? 1) + T(1e-16)
            return Norm(length: length, inverse: length == 0 ? 0 : 1 / n)
        }
    }

    /// From the gradients for n_j to the factor of G_jk in the gradient for G_jk; adds to the gradient of the gain.
    private func normsAdjoint(_ norms: [Norm], _ gn: [T], _ gradGain: Pointer?) -> [T] {
        var gradLengths = (0..<H).map { j in
            gradGain?[j] += gn[j] * norms[j].length
            return gn[j] * (parameters.normGain?[j] ?? 1)
        }
        if cell.normAxis == .layer { gradLengths = [T](repeating: gradLengths.reduce(0, +), count: H) }
        return (0..<H).map { norms[$0].length == 0 ? 0 : gradLengths[$0] / norms[$0].length }
    }

    // MARK: A step

    /// clip(value, ±c), which lets NaN pass
    private func clip(_ value: T) -> T {
        value > clamp ? clamp : value < -clamp ? -clamp : value
    }

    /// What clip passes of a gradient.
    private func unclipped(_ value: T, _ gradient: T) -> T {
        clamp == .infinity || abs(value) < clamp ? gradient : 0
    }

    /// The numbers of a step in the order of the equations.
    private struct Terms {
        let v: [T]  // (K)
        let F: [T]  // (H,P), before the step
        let dot: [T]  // (H): G_j · v
        let norm: [Norm]  // (H)
        /// Before the layer norm
        let a: [T]  // (H)
        let h: [T]  // (H)
        let decayed: [T]  // (H,P): F̃
        /// With "oja" less Σ h_i F̃_ik
        let u: [T]  // (P)
        /// Before the clip
        let updated: [T]  // (H,P)
        /// Before the clip
        let fb: [T]  // (H)
    }

    private func layerNorm(_ arrays: STPNArrays<Pointer>) -> PlainLayerNorm<T>? {
        PlainLayerNorm(gain: arrays.layerNormWeight, bias: arrays.layerNormBias)
    }

    private func terms(_ x: UnsafePointer<T>, _ before: State) -> Terms {
        let v = (0..<K).map { $0 < I ? x[$0] : before.h![$0 - I] }
        let F = (0..<H * P).map { before.F[$0] }
        let dot = (0..<H).map { j in (0..<K).reduce(T(0)) { $0 + G(F, j, $1) * v[$1] } }
        let norm = cell.normalizes ? norms(F) : [Norm](repeating: Norm(length: 0, inverse: 1), count: H)
        let a = (0..<H).map { j in  // (3)
            dot[j] * norm[j].inverse + (parameters.bias?[j] ?? 0) + (before.fb?[j] ?? 0)
        }
        let h = (layerNorm(parameters)?.value(a) ?? a).map { cell.activation.value($0) }  // (4)
        let decayed = (0..<H * P).map { cell.dividesBefore ? F[$0] * norm[$0 / P].inverse : F[$0] }  // (5)
        let u = (0..<P).map { p in
            let k = cell.plasticColumns.lowerBound + p
            let u_p = cell.presynaptic == .current && k >= I ? h[k - I] : v[k]
            return cell.rule == .oja ? (0..<H).reduce(u_p) { $0 - h[$1] * decayed[$1 * P + p] } : u_p
        }
        let updated = (0..<H * P).map { jp in  // (6), (7)
            let (j, p) = (jp / P, jp % P)
            let learned = gamma(j, p) * h[j] * u[p]
            return cell.decay == .prompt
                ? lambda(j, p) * (decayed[jp] + learned) : lambda(j, p) * decayed[jp] + learned
        }
        let fb = (0..<H).map { j in  // (9)
            before.fb.map { parameters.biasLambda![j] * $0[j] + parameters.biasGamma![j] * h[j] } ?? 0
        }
        return Terms(
            v: v, F: F, dot: dot, norm: norm, a: a, h: h, decayed: decayed, u: u, updated: updated, fb: fb)
    }

    func step(
        x: UnsafePointer<T>, before: Concatenation<T>, after: Concatenation<T>, y: UnsafeMutablePointer<T>,
        energy: UnsafeMutablePointer<T>?
    ) {
        let (before, after) = (State(cell, before), State(cell, after))
        let terms = terms(x, before)
        var F = terms.updated.map(clip)
        if cell.dividesAfter {  // (8)
            let norms = norms(F)
            F = F.indices.map { F[$0] * norms[$0 / P].inverse }
        }
        for jp in F.indices { after.F[jp] = F[jp] }
        for j in 0..<H {
            y[j] = terms.h[j]
            after.h?[j] = terms.h[j]
            after.fb?[j] = clip(terms.fb[j])
            energy?[j] = (0..<K).reduce(0) {  // (10)
                $0 + abs(G(terms.F, j, $1) * terms.norm[j].inverse) * terms.v[$1] * terms.v[$1]
            }
        }
    }

    func stepAdjoint(
        x: UnsafePointer<T>, before: Concatenation<T>, gradY: UnsafePointer<T>, gradAfter: Concatenation<T>,
        gradX: UnsafeMutablePointer<T>, gradBefore: Concatenation<T>, gradParameters: Concatenation<T>
    ) {
        let before = State(cell, before)
        let (gradAfter, gradBefore) = (State(cell, gradAfter), State(cell, gradBefore))
        let gradients = STPNArrays(cell) { gradParameters[$0] }
        let terms = terms(x, before)
        let (h, norm, first) = (terms.h, terms.norm, cell.plasticColumns.lowerBound)
        var gh = (0..<H).map { gradY[$0] + (gradAfter.h?[$0] ?? 0) }
        var gv = [T](repeating: 0, count: K)
        var gn = [T](repeating: 0, count: H)

        if let fb = before.fb {  // (9)
            for j in 0..<H {
                let g = unclipped(terms.fb[j], gradAfter.fb![j])
                gradients.biasLambda![j] += g * fb[j]
                gradients.biasGamma![j] += g * h[j]
                gh[j] += g * parameters.biasGamma![j]
                gradBefore.fb![j] = g * parameters.biasLambda![j]
            }
        }

        var gF = (0..<H * P).map { gradAfter.F[$0] }
        if cell.dividesAfter { gF = postNormAdjoint(terms.updated.map(clip), gF, gradients) }  // (8)

        var gDecayed = [T](repeating: 0, count: H * P)
        var gu = [T](repeating: 0, count: P)
        for j in 0..<H {
            for p in 0..<P {  // (7), (6)
                let jp = j * P + p
                let g = unclipped(terms.updated[jp], gF[jp])
                let (lambda, gamma, D) = (lambda(j, p), gamma(j, p), h[j] * terms.u[p])
                let prompt = cell.decay == .prompt
                let gLambda = g * (prompt ? terms.decayed[jp] + gamma * D : terms.decayed[jp])
                let gLearned = prompt ? g * lambda : g
                gradients.lambda[cell.rateIndex(j, p)] += gLambda * cell.decaySlope(lambda)
                gradients.gamma[cell.rateIndex(j, p)] += gLearned * D * cell.rateSlope(gamma)
                gDecayed[jp] = g * lambda
                gh[j] += gLearned * gamma * terms.u[p]
                gu[p] += gLearned * gamma * h[j]
            }
        }
        if cell.rule == .oja {
            for jp in 0..<H * P {
                gh[jp / P] -= gu[jp % P] * terms.decayed[jp]
                gDecayed[jp] -= gu[jp % P] * h[jp / P]
            }
        }
        for p in 0..<P {
            let k = first + p
            if cell.presynaptic == .current && k >= I { gh[k - I] += gu[p] } else { gv[k] += gu[p] }
        }
        for jp in 0..<H * P {  // (5)
            let inverse = cell.dividesBefore ? norm[jp / P].inverse : 1
            gradBefore.F[jp] = gDecayed[jp] * inverse
            if cell.dividesBefore { gn[jp / P] -= gDecayed[jp] * terms.decayed[jp] * inverse }
        }

        var ga = (0..<H).map { gh[$0] * cell.activation.slope(h[$0]) }  // (4)
        if let norm = layerNorm(parameters) { ga = norm.adjoint(terms.a, ga, layerNorm(gradients)!) }
        for j in 0..<H {  // (3)
            gradients.bias?[j] += ga[j]
            gradBefore.fb?[j] += ga[j]
            gn[j] -= ga[j] * terms.dot[j] * norm[j].inverse * norm[j].inverse
        }
        let factors = cell.normalizes ? normsAdjoint(norm, gn, gradients.normGain) : gn.map { _ in 0 }
        for j in 0..<H {  // (2), (1)
            for k in 0..<K {
                let gDot = ga[j] * norm[j].inverse
                let gG = gDot * terms.v[k] + factors[j] * G(terms.F, j, k)
                gradients.weight[j * K + k] += gG
                if cell.plasticColumns.contains(k) { gradBefore.F[j * P + k - first] += gG }
                gv[k] += gDot * G(terms.F, j, k)
            }
        }
        for k in 0..<K {
            if k < I { gradX[k] = gv[k] } else { gradBefore.h![k - I] = gv[k] }
        }
    }

    /// The adjoint of (8): from the gradient for F_t to that for its value X before the division.
    private func postNormAdjoint(_ X: [T], _ gF: [T], _ gradients: STPNArrays<Pointer>) -> [T] {
        let norms = norms(X)
        var gn = [T](repeating: 0, count: H)
        for jp in X.indices {
            gn[jp / P] -= gF[jp] * X[jp] * norms[jp / P].inverse * norms[jp / P].inverse
        }
        let factors = normsAdjoint(norms, gn, gradients.normGain)
        for j in 0..<H {
            for k in 0..<K { gradients.weight[j * K + k] += factors[j] * G(X, j, k) }
        }
        return X.indices.map { jp in
            let (j, k) = (jp / P, cell.plasticColumns.lowerBound + jp % P)
            return gF[jp] * norms[j].inverse + factors[j] * G(X, j, k)
        }
    }
}

extension STPN {
    func runPlain(_ job: Job) -> Int? {
        switch job.type {
        case .float32: STPNEquations<Float>.run(self, job)
        case .float64: STPNEquations<Double>.run(self, job)
        }
    }
}
