/// The equations of docs/cells.md, section 4, for one sample, each step beside its adjoint, in plain loops.
struct FastWeightsEquations<T: Real>: Equations {
    typealias Pointer = UnsafeMutablePointer<T>

    let cell: FastWeights
    private let parameters: FastWeightsArrays<Pointer>

    init(_ cell: FastWeights, parameters: Concatenation<T>) {
        self.cell = cell
        self.parameters = FastWeightsArrays(cell) { parameters[$0] }
    }

    /// The state of one sample, or its gradient.
    private struct State {
        let h: Pointer  // (H)
        let A: Pointer  // (H,H)

        init(_ cell: FastWeights, _ state: Concatenation<T>) {
            h = state[cell.index(.h)!]
            A = state[cell.index(.A)!]
        }
    }

    private var I: Int { cell.inputSize }
    private var H: Int { cell.hiddenSize }
    private var K: Int { cell.presynapticSize }
    private var S: Int { cell.innerSteps }

    private struct Terms {
        let v: [T]  // (K)
        let A: [T]  // (H,H), after its update
        /// z, then z + A h^s, before the layer norm
        let a: [[T]]  // (S+1,H)
        /// h^s
        let h: [[T]]  // (S+1,H)
    }

    private func layerNorm(_ arrays: FastWeightsArrays<Pointer>) -> PlainLayerNorm<T>? {
        PlainLayerNorm(gain: arrays.layerNormWeight, bias: arrays.layerNormBias)
    }

    private func terms(_ x: UnsafePointer<T>, _ before: State) -> Terms {
        func fire(_ a: [T]) -> [T] { (layerNorm(parameters)?.value(a) ?? a).map { cell.activation.value($0) } }
        let v = (0..<K).map { $0 < I ? x[$0] : before.h[$0 - I] }
        let A = (0..<H * H).map { jk in  // (11)
            parameters.lambda[0] * before.A[jk] + parameters.gamma[0] * (before.h[jk / H] * before.h[jk % H])
        }
        let z = (0..<H).map { j in  // (12)
            (0..<K).reduce(T(0)) { $0 + parameters.weight[j * K + $1] * v[$1] } + parameters.bias[j]
        }
        var (a, h) = ([z], [fire(z)])
        for s in 0..<S {
            a.append((0..<H).map { j in (0..<H).reduce(T(0)) { $0 + A[j * H + $1] * h[s][$1] } + z[j] })
            h.append(fire(a[s + 1]))
        }
        return Terms(v: v, A: A, a: a, h: h)
    }

    func step(
        x: UnsafePointer<T>, before: Concatenation<T>, after: Concatenation<T>, y: UnsafeMutablePointer<T>,
        energy: UnsafeMutablePointer<T>?
    ) {
        let (before, after) = (State(cell, before), State(cell, after))
        let terms = terms(x, before)
        for jk in 0..<H * H { after.A[jk] = terms.A[jk] }
        for j in 0..<H {
            after.h[j] = terms.h[S][j]
            y[j] = terms.h[S][j]
            guard let energy else { continue }
            energy[j] = (0..<K).reduce(0) {  // (10)
                $0 + abs(parameters.weight[j * K + $1]) * terms.v[$1] * terms.v[$1]
            }
            for h in terms.h[..<S] {
                energy[j] += (0..<H).reduce(0) { $0 + abs(terms.A[j * H + $1]) * h[$1] * h[$1] }
            }
        }
    }

    func stepAdjoint(
        x: UnsafePointer<T>, before: Concatenation<T>, gradY: UnsafePointer<T>, gradAfter: Concatenation<T>,
        gradX: UnsafeMutablePointer<T>, gradBefore: Concatenation<T>, gradParameters: Concatenation<T>
    ) {
        let before = State(cell, before)
        let (gradAfter, gradBefore) = (State(cell, gradAfter), State(cell, gradBefore))
        let gradients = FastWeightsArrays(cell) { gradParameters[$0] }
        let terms = terms(x, before)
        func fireAdjoint(_ s: Int, _ gh: [T]) -> [T] {
            let ga = (0..<H).map { gh[$0] * cell.activation.slope(terms.h[s][$0]) }
            return layerNorm(parameters)?.adjoint(terms.a[s], ga, layerNorm(gradients)!) ?? ga
        }

        var gh = (0..<H).map { gradY[$0] + gradAfter.h[$0] }
        var gA = (0..<H * H).map { gradAfter.A[$0] }
        var gz = [T](repeating: 0, count: H)
        for s in (0..<S).reversed() {  // (12)
            let ga = fireAdjoint(s + 1, gh)
            gh = [T](repeating: 0, count: H)
            for j in 0..<H {
                gz[j] += ga[j]
                for k in 0..<H {
                    gA[j * H + k] += ga[j] * terms.h[s][k]
                    gh[k] += ga[j] * terms.A[j * H + k]
                }
            }
        }
        let ga = fireAdjoint(0, gh)
        var gv = [T](repeating: 0, count: K)
        for j in 0..<H {
            gz[j] += ga[j]
            gradients.bias[j] += gz[j]
            for k in 0..<K {
                gradients.weight[j * K + k] += gz[j] * terms.v[k]
                gv[k] += gz[j] * parameters.weight[j * K + k]
            }
        }
        for k in 0..<K {
            if k < I { gradX[k] = gv[k] } else { gradBefore.h[k - I] = gv[k] }
        }
        for j in 0..<H {  // (11)
            for k in 0..<H {
                let g = gA[j * H + k]
                gradients.lambda[0] += g * before.A[j * H + k]
                gradients.gamma[0] += g * before.h[j] * before.h[k]
                gradBefore.h[j] += g * parameters.gamma[0] * before.h[k]
                gradBefore.h[k] += g * parameters.gamma[0] * before.h[j]
                gradBefore.A[j * H + k] = g * parameters.lambda[0]
            }
        }
    }
}

extension FastWeights {
    func runPlain(_ job: Job) -> Int? {
        switch job.type {
        case .float32: FastWeightsEquations<Float>.run(self, job)
        case .float64: FastWeightsEquations<Double>.run(self, job)
        }
    }
}
