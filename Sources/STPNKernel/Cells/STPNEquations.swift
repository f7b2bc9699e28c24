/// The equations of docs/cells.md, section 1, for one sample, each step beside its adjoint: plain loops in the order of
/// the text, no blocks, no vectors. This is the specification in code; the fast kernel is tested against it.
struct STPNEquations<T: Real>: Equations {
    let cell: STPN
    private let parameters: STPNArrays<UnsafeMutablePointer<T>>

    init(_ cell: STPN, parameters: Concatenation<T>) {
        self.cell = cell
        self.parameters = STPNArrays(cell) { parameters[$0] }
    }

    /// The state of one sample, or its gradient.
    private struct State {
        let h: UnsafeMutablePointer<T>  // (H)
        let F: UnsafeMutablePointer<T>  // (H,K)

        init(_ state: Concatenation<T>) {
            h = state[STPN.State.h.rawValue]
            F = state[STPN.State.F.rawValue]
        }
    }

    private var I: Int { cell.inputSize }
    private var H: Int { cell.hiddenSize }
    private var K: Int { cell.presynapticSize }
    private var clamp: T { T(cell.clamp) }

    /// The norm of a row and its two inverses. A norm of 0 counts as infinite.
    private struct Norm {
        /// 1 / n, n = ‖·‖ + 1e-16
        let inverse: T
        /// 1 / ‖·‖, of the derivative G / ‖G‖
        let unit: T

        init(squares: T) {
            let norm = squares.squareRoot()
            inverse = squares == 0 ? 0 : 1 / (norm + T(1e-16))
            unit = squares == 0 ? 0 : 1 / norm
        }

        private init(inverse: T, unit: T) {
            self.inverse = inverse
            self.unit = unit
        }

        /// No division.
        static var one: Norm { Norm(inverse: 1, unit: 0) }
    }

    /// v_k = [x_t, h_{t-1}]_k
    private func presynaptic(_ x: UnsafePointer<T>, _ before: State, _ k: Int) -> T {
        k < I ? x[k] : before.h[k - I]
    }

    /// (1) G = W + F, (2) n_j, and the dot product of (3)
    private func read(_ x: UnsafePointer<T>, _ before: State, _ j: Int) -> (dot: T, norm: Norm) {
        var (dot, squares): (T, T) = (0, 0)
        for k in 0..<K {
            let G_jk = parameters.weight[j * K + k] + before.F[j * K + k]
            dot += G_jk * presynaptic(x, before, k)
            squares += G_jk * G_jk
        }
        return (dot, cell.normalize == .none ? .one : Norm(squares: squares))
    }

    /// (5) F̃, (6) D and (7) the new F before the clip
    private func updated(
        _ x: UnsafePointer<T>, _ before: State, _ j: Int, _ k: Int, h_j: T, norm: Norm
    ) -> (decayed: T, hebb: T, value: T) {
        let decayed = cell.normalize == .pre ? before.F[j * K + k] * norm.inverse : before.F[j * K + k]
        let hebb = h_j * presynaptic(x, before, k)
        return (decayed, hebb, parameters.lambda[j * K + k] * decayed + parameters.gamma[j * K + k] * hebb)
    }

    /// (7) clip(value, ±c), which lets NaN pass
    private func clip(_ value: T) -> T {
        value > clamp ? clamp : value < -clamp ? -clamp : value
    }

    /// (8) the norm of a row of W + F after the update
    private func postNorm(_ after: UnsafePointer<T>, _ j: Int) -> Norm {
        var squares: T = 0
        for k in 0..<K {
            let G_jk = parameters.weight[j * K + k] + after[k]
            squares += G_jk * G_jk
        }
        return Norm(squares: squares)
    }

    func step(x: UnsafePointer<T>, before: Concatenation<T>, after: Concatenation<T>, y: UnsafeMutablePointer<T>) {
        let (before, after) = (State(before), State(after))
        for j in 0..<H {
            let (dot, norm) = read(x, before, j)
            let a_j = dot * norm.inverse + (parameters.bias?[j] ?? 0)  // (3)
            let h_j = T.libmTanh(a_j)  // (4)
            after.h[j] = h_j
            y[j] = h_j
            let F_j = after.F + j * K
            for k in 0..<K {
                F_j[k] = clip(updated(x, before, j, k, h_j: h_j, norm: norm).value)
            }
            if cell.normalize == .post {
                let norm = postNorm(F_j, j)
                for k in 0..<K {
                    F_j[k] *= norm.inverse
                }
            }
        }
    }

    func stepAdjoint(
        x: UnsafePointer<T>, before: Concatenation<T>, after: Concatenation<T>, gradY: UnsafePointer<T>,
        gradAfter: Concatenation<T>,
        gradX: UnsafeMutablePointer<T>, gradBefore: Concatenation<T>, gradParameters: Concatenation<T>
    ) {
        let (before, after) = (State(before), State(after))
        let (gradAfter, gradBefore) = (State(gradAfter), State(gradBefore))
        let gradients = STPNArrays(cell) { gradParameters[$0] }
        func addPresynaptic(_ k: Int, _ value: T) {
            if k < I { gradX[k] += value } else { gradBefore.h[k - I] += value }
        }
        gradX.update(repeating: 0, count: I)
        gradBefore.h.update(repeating: 0, count: H)
        for j in 0..<H {
            let (dot, norm) = read(x, before, j)
            let h_j = after.h[j]
            let gF = gradAfter.F + j * K
            if cell.normalize == .post {
                postNormAdjoint(x, before, j, h_j: h_j, norm: norm, gF: gF, gradients: gradients)
            }
            var gh_j = gradY[j] + gradAfter.h[j]
            var gn_j: T = 0
            for k in 0..<K {
                let jk = j * K + k
                let (decayed, hebb, value) = updated(x, before, j, k, h_j: h_j, norm: norm)
                let g = clamp == .infinity || abs(value) < clamp ? gF[k] : 0  // (7)
                gradients.lambda[jk] += g * decayed
                gradients.gamma[jk] += g * hebb
                let gD = g * parameters.gamma[jk]
                gh_j += gD * presynaptic(x, before, k)  // (6)
                addPresynaptic(k, gD * h_j)
                let gDecayed = g * parameters.lambda[jk]
                if cell.normalize == .pre {  // (5)
                    gradBefore.F[jk] = gDecayed * norm.inverse
                    gn_j -= gDecayed * decayed * norm.inverse
                } else {
                    gradBefore.F[jk] = gDecayed
                }
            }
            let ga_j = gh_j * (1 - h_j * h_j)  // (4)
            gradients.bias?[j] += ga_j  // (3)
            let gDot = ga_j * norm.inverse
            gn_j -= gDot * dot * norm.inverse
            for k in 0..<K {  // (2), (1)
                let jk = j * K + k
                let G_jk = parameters.weight[jk] + before.F[jk]
                let gNorm = cell.normalizes ? gn_j * norm.unit * G_jk : 0
                let gG = gDot * presynaptic(x, before, k) + gNorm
                gradients.weight[jk] += gG
                gradBefore.F[jk] += gG
                addPresynaptic(k, gDot * G_jk)
            }
        }
    }

    /// The adjoint of (8): turns the gradient for row j of F_t into that for its value before the division.
    private func postNormAdjoint(
        _ x: UnsafePointer<T>, _ before: State, _ j: Int, h_j: T, norm: Norm,
        gF: UnsafeMutablePointer<T>, gradients: STPNArrays<UnsafeMutablePointer<T>>
    ) {
        func undivided(_ k: Int) -> T {
            clip(updated(x, before, j, k, h_j: h_j, norm: norm).value)
        }
        var squares: T = 0
        for k in 0..<K {
            let G_jk = parameters.weight[j * K + k] + undivided(k)
            squares += G_jk * G_jk
        }
        let post = Norm(squares: squares)
        var gn: T = 0
        for k in 0..<K {
            gn -= gF[k] * undivided(k) * post.inverse * post.inverse
        }
        for k in 0..<K {
            let gG = gn * post.unit * (parameters.weight[j * K + k] + undivided(k))
            gradients.weight[j * K + k] += gG
            gF[k] = gF[k] * post.inverse + gG
        }
    }
}
