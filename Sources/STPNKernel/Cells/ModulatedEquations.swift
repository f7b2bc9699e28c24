/// The equations of docs/cells.md, section 5, for one sample, each step beside its adjoint, in plain loops.
struct ModulatedEquations<T: Real>: Equations {
    typealias Pointer = UnsafeMutablePointer<T>

    let cell: Modulated
    private let parameters: ModulatedArrays<Pointer>

    init(_ cell: Modulated, parameters: Concatenation<T>) {
        self.cell = cell
        self.parameters = ModulatedArrays(cell) { parameters[$0] }
    }

    /// The state of one sample, or its gradient.
    private struct State {
        let h: Pointer  // (H)
        let F: Pointer  // (H,H)
        let E: Pointer?  // (H,H)

        init(_ cell: Modulated, _ state: Concatenation<T>) {
            h = state[cell.index(.h)!]
            F = state[cell.index(.F)!]
            E = cell.index(.E).map { state[$0] }
        }
    }

    private var I: Int { cell.inputSize }
    private var H: Int { cell.hiddenSize }
    private var clamp: T { T(cell.clamp) }
    private var clips: Bool { clamp < .infinity }

    private struct Terms {
        let h: [T]  // (H)
        let D: [T]  // (H,H)
        let m: T
        /// Before the clip
        let updated: [T]  // (H,H)
    }

    /// w + α∘F
    private func G(_ before: State, _ jk: Int) -> T { parameters.w[jk] + parameters.alpha[jk] * before.F[jk] }

    private func terms(_ x: UnsafePointer<T>, _ before: State) -> Terms {
        let h = (0..<H).map { j in  // (13)
            let input = (0..<I).reduce(T(0)) { $0 + parameters.inputWeight[j * I + $1] * x[$1] }
            let recurrent = (0..<H).reduce(T(0)) { $0 + G(before, j * H + $1) * before.h[$1] }
            return T.libmTanh(input + parameters.inputBias[j] + recurrent)
        }
        let D = (0..<H * H).map { h[$0 / H] * before.h[$0 % H] }
        let m =
            if let weight = parameters.modulatorWeight {
                cell.modulator.activation.value(
                    (0..<H).reduce(T(0)) { $0 + weight[$1] * h[$1] } + parameters.modulatorBias![0])
            } else {
                parameters.eta![0]
            }
        let updated = (0..<H * H).map { jk in  // (14), (15)
            let F = before.F[jk]
            let added = m * (before.E?[jk] ?? D[jk])
            return switch cell.addition {
            case .plain, .clipped: F + added
            case .replacing: (1 - m) * F + added
            case .saturating: F + added - abs(added) * F
            }
        }
        return Terms(h: h, D: D, m: m, updated: updated)
    }

    /// clip(value, ±c), which lets NaN pass
    private func clip(_ value: T) -> T {
        value > clamp ? clamp : value < -clamp ? -clamp : value
    }

    func step(
        x: UnsafePointer<T>, before: Concatenation<T>, after: Concatenation<T>, y: UnsafeMutablePointer<T>,
        energy: UnsafeMutablePointer<T>?
    ) {
        let (before, after) = (State(cell, before), State(cell, after))
        let terms = terms(x, before)
        for j in 0..<H {
            after.h[j] = terms.h[j]
            y[j] = terms.h[j]
            guard let energy else { continue }
            energy[j] = (0..<I).reduce(0) { $0 + abs(parameters.inputWeight[j * I + $1]) * x[$1] * x[$1] }  // (10)
            energy[j] = (0..<H).reduce(energy[j]) { $0 + abs(G(before, j * H + $1)) * before.h[$1] * before.h[$1] }
        }
        for jk in 0..<H * H {
            after.F[jk] = clip(terms.updated[jk])
            if let E = before.E {
                let eta = parameters.eta![0]
                after.E![jk] = (1 - eta) * E[jk] + eta * terms.D[jk]
            }
        }
    }

    func stepAdjoint(
        x: UnsafePointer<T>, before: Concatenation<T>, gradY: UnsafePointer<T>, gradAfter: Concatenation<T>,
        gradX: UnsafeMutablePointer<T>, gradBefore: Concatenation<T>, gradParameters: Concatenation<T>
    ) {
        let before = State(cell, before)
        let (gradAfter, gradBefore) = (State(cell, gradAfter), State(cell, gradBefore))
        let gradients = ModulatedArrays(cell) { gradParameters[$0] }
        let terms = terms(x, before)
        let (h, m) = (terms.h, terms.m)
        var gh = (0..<H).map { gradY[$0] + gradAfter.h[$0] }
        var gm: T = 0
        gradBefore.h.zero(H)

        for j in 0..<H {
            for k in 0..<H {
                let jk = j * H + k
                let (F, M) = (before.F[jk], before.E?[jk] ?? terms.D[jk])
                let g = clips && abs(terms.updated[jk]) >= clamp ? 0 : gradAfter.F[jk]
                var gAdded = g  // (15)
                switch cell.addition {
                case .plain, .clipped:
                    gradBefore.F[jk] = g
                case .replacing:
                    gradBefore.F[jk] = g * (1 - m)
                    gm -= g * F
                case .saturating:
                    gradBefore.F[jk] = g * (1 - abs(m * M))
                    let sign: T = m * M > 0 ? 1 : m * M < 0 ? -1 : 0
                    gAdded = g * (1 - sign * F)
                }
                gm += gAdded * M
                var gD = gAdded * m  // (14)
                if let E = before.E {
                    let (eta, gE) = (parameters.eta![0], gradAfter.E![jk])
                    gradients.eta![0] += gE * (terms.D[jk] - E[jk])
                    gradBefore.E![jk] = gE * (1 - eta) + gD
                    gD = gE * eta
                }
                gh[j] += gD * before.h[k]
                gradBefore.h[k] += gD * h[j]
            }
        }
        if let weight = parameters.modulatorWeight {
            let gSum = gm * cell.modulator.activation.slope(m)
            gradients.modulatorBias![0] += gSum
            for j in 0..<H {
                gradients.modulatorWeight![j] += gSum * h[j]
                gh[j] += gSum * weight[j]
            }
        } else {
            gradients.eta![0] += gm
        }

        gradX.zero(I)
        for j in 0..<H {  // (13)
            let ga = gh[j] * Activation.tanh.slope(h[j])
            gradients.inputBias[j] += ga
            for i in 0..<I {
                gradients.inputWeight[j * I + i] += ga * x[i]
                gradX[i] += ga * parameters.inputWeight[j * I + i]
            }
            for k in 0..<H {
                let jk = j * H + k
                let gG = ga * before.h[k]
                gradients.w[jk] += gG
                gradients.alpha[jk] += gG * before.F[jk]
                gradBefore.F[jk] += gG * parameters.alpha[jk]
                gradBefore.h[k] += ga * G(before, jk)
            }
        }
    }
}

extension Modulated {
    func runPlain(_ job: Job) -> Int? {
        switch job.type {
        case .float32: ModulatedEquations<Float>.run(self, job)
        case .float64: ModulatedEquations<Double>.run(self, job)
        }
    }
}
