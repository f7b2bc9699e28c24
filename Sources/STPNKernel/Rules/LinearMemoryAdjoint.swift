/// A linear memory of a block of samples on its way back, a segment of steps at a time: a chunk of forward's size or less.
///
/// Update e belongs to step e of the segment. A step has `reads` reads, each of them either of the updates before the step,
/// or also of the step's own (`lead` 0 or 1).
struct LinearMemoryAdjoint<T: Real> {
    typealias Pointer = UnsafeMutablePointer<T>

    private let H: Int
    private let Hp: Int
    private let Kp: Int
    private let lead: Int
    private let reads: Int
    private let decays: Decays<T>
    private let M: Pointer  // (samples, H, Kp): M₀
    private let isZero: UnsafeMutablePointer<Bool>  // (samples): M₀ is, whatever stands there
    private let checkpoints: Pointer  // (segments - 1, samples, H, Kp): M₀ of the others
    private let samples: Int
    private let count: UnsafeMutablePointer<Int>  // (samples): steps of the segment
    private let starts: UnsafeMutablePointer<Int>  // (samples, chunk): the first update that the reads of a step see
    private let keys: Pointer  // (samples, chunk · reads, Kp)
    private let gradReads: Pointer  // (samples, chunk · reads, Hp)
    private let weights: Pointer  // (samples, chunk · reads, row): of p_e in a read
    private let gradScore: Pointer  // (samples, chunk · reads, row): for q_e·k
    /// The width of their rows
    private let row: Int
    private let readsEnd: UnsafeMutablePointer<Int>  // (samples): the first read behind those that see the last updates
    private let gradM: Pointer  // (samples, H, Kp): for M at the end of the segment
    private let gradIsZero: UnsafeMutablePointer<Bool>  // (samples)
    private let score: Pointer  // (row)
    private let gradWeight: Pointer  // (row)
    private let column: Pointer  // (Kp)
    private let scaled: Pointer  // (chunk · reads, Hp)

    init(
        _ arena: inout Arena, _ decays: Decays<T>, samples: Int, rows: Int, width: Int, lead: Int, reads: Int,
        segments: Int
    ) {
        (H, Hp, Kp, self.lead, self.reads) = (rows, padded(rows, T.self), width, lead, reads)
        (self.decays, self.samples) = (decays, samples)
        let (chunk, all) = (decays.chunk, decays.chunk * reads)
        row = chunk + T.rowUnit
        M = arena.take(T.self, samples, H, Kp)
        isZero = arena.take(Bool.self, samples)
        checkpoints = arena.take(T.self, segments - 1, samples, H, Kp)
        count = arena.take(Int.self, samples)
        starts = arena.take(Int.self, samples, chunk)
        keys = arena.take(T.self, samples, all, Kp)
        gradReads = arena.take(T.self, samples, all, Hp)
        weights = arena.take(T.self, samples, all, row)
        gradScore = arena.take(T.self, samples, all, row)
        readsEnd = arena.take(Int.self, samples)
        gradM = arena.take(T.self, samples, H, Kp)
        gradIsZero = arena.take(Bool.self, samples)
        score = arena.take(T.self, max(row, Hp))
        gradWeight = arena.take(T.self, row)
        column = arena.take(T.self, Kp)
        scaled = arena.take(T.self, all, Hp)
    }

    private func size() -> Int { H * Kp }

    // MARK: The beginning of a segment

    func load(_ s: Int, _ state: UnsafePointer<T>?, columns: Int) {
        isZero[s] = state == nil
        if let state { (M + s * size()).copyRows(state, rows: H, columns: columns, width: Kp) }
    }

    func load(_ s: Int, checkpoint index: Int) {
        isZero[s] = false
        (M + s * size()).copy(checkpoint(s, index), size())
    }

    private func checkpoint(_ s: Int, _ index: Int) -> Pointer {
        checkpoints + ((index - 1) * samples + s) * size()
    }

    /// Where M is zeroed among the steps.
    func begin(_ s: Int, steps: Int, reset: (Int) -> Bool) {
        count[s] = steps
        readsEnd[s] = steps * reads
        var start = 0
        for step in 0..<steps {
            if reset(step) {
                start = step
                if step == 0 { isZero[s] = true }
            }
            starts[s * decays.chunk + step] = start
        }
    }

    /// Keeps M after all steps of the segment, of whose updates p and q are the rows.
    func save(_ s: Int, checkpoint index: Int, post p: RowMatrix<T>, pre q: RowMatrix<T>) {
        let (target, start) = (checkpoint(s, index), start(s, count[s] - 1))
        if isZero[s] || start > 0 { target.zero(size()) } else { target.copy(M + s * size(), size()) }
        decays.advance(
            target, rows: H, post: p[start..<count[s]], pre: q[start..<count[s]], scaled: scaled)
    }

    /// How many steps the segment has.
    func steps(_ s: Int) -> Int { count[s] }

    private func start(_ s: Int, _ step: Int) -> Int { starts[s &* decays.chunk &+ step] }

    // MARK: Going back

    func begin(_ s: Int, gradFinal: UnsafePointer<T>?, columns: Int) {
        gradIsZero[s] = gradFinal == nil
        if let gradFinal { (gradM + s * size()).copyRows(gradFinal, rows: H, columns: columns, width: Kp) }
    }

    /// Where what is read in a step stands: k (Kp).
    func key(_ s: Int, step: Int, _ read: Int = 0) -> Pointer {
        keys + index(s, step, read) &* Kp
    }

    /// And where the gradient for M k does, (Hp); those of the next step follow.
    func gradRead(_ s: Int, step: Int, _ read: Int = 0) -> Pointer {
        gradReads + index(s, step, read) &* Hp
    }

    private func index(_ s: Int, _ step: Int, _ read: Int) -> Int {
        (s &* decays.chunk &+ step) &* reads &+ read
    }

    /// From the gradient for M k to that for k (Kp), which is added, where it is wanted.
    func readAdjoint(
        _ s: Int, step: Int, _ read: Int = 0, post p: RowMatrix<T>, pre q: RowMatrix<T>, gradKey: Pointer?,
        _ gradRates: RateGradient
    ) {
        let (at, seen) = (index(s, step, read), start(s, step)..<step &+ lead)
        let (key, gradient) = (key(s, step: step, read), gradRead(s, step: step, read))
        q[seen].multiply(key, to: score)
        p[seen].multiply(gradient, to: gradWeight)
        let target = at &* row &+ seen.lowerBound
        let (weight, gammaSlope) = (decays.weights(seen.count), decays.gammaSlopes(seen.count))
        let lambdaSlope = decays.lambdaSlopes(seen.count)
        var (sumLambda, sumGamma) = (T.Lanes.zero, T.Lanes.zero)
        var e = 0
        while e < seen.count {
            let (score, gradWeight) = (score.lanes(e), gradWeight.lanes(e))
            weights.store(score * weight.lanes(e), target &+ e)
            gradScore.store(gradWeight * weight.lanes(e), target &+ e)
            sumGamma = fma(score * gradWeight, gammaSlope.lanes(e), sumGamma)
            sumLambda = fma(score * gradWeight, lambdaSlope.lanes(e), sumLambda)
            e &+= T.Lanes.scalarCount
        }
        if let gradKey { q[seen].addCombination(gradScore + target, to: gradKey) }
        gradRates.add(lambda: horizontalSum(sumLambda, T.self), gamma: horizontalSum(sumGamma, T.self))
        if isZero[s] || seen.lowerBound > 0 { return }
        column.zero(Kp)
        RowMatrix(rows: M + s &* size(), stride: Kp, count: H, width: Kp).addCombination(gradient, to: column)
        gradKey?.add(column, times: decays.power(seen.count), width: Kp)
        gradRates.add(lambda: column.dot(key, Kp) * decays.powerSlope(seen.count), gamma: 0)
    }

    /// Adds the gradients for p (Hp) and, where they are wanted, q (Kp) of a step's update, when all that see it were read.
    func updateAdjoint(
        _ s: Int, step: Int, post p: RowMatrix<T>, pre q: RowMatrix<T>, gradPost: Pointer, gradPre: Pointer?,
        _ gradRates: RateGradient
    ) {
        let first = (step &+ 1 &- lead) &* reads
        let (at, seeing) = (index(s, 0, 0) &+ first, readsEnd[s] &- first)
        RowMatrix(rows: gradReads + at &* Hp, stride: Hp, count: seeing, width: Hp)
            .addCombination(weights + (at &* row &+ step), step: row, to: gradPost)
        if let gradPre {
            RowMatrix(rows: keys + at &* Kp, stride: Kp, count: seeing, width: Kp)
                .addCombination(gradScore + (at &* row &+ step), step: row, to: gradPre)
        }
        if gradIsZero[s] { return }
        let (n, gradM) = (count[s] - step, gradM + s * size())
        let (p, q) = (p.rows + step * p.stride, q.rows + step * q.stride)
        let rows = RowMatrix<T>(rows: gradM, stride: Kp, count: H, width: Kp)
        rows.multiply(q, to: score)
        gradPost.add(score, times: decays.weights(n)[0], width: H)
        let product = score.dot(UnsafeMutablePointer(mutating: p), H)
        gradRates.add(lambda: product * decays.lambdaSlopes(n)[0], gamma: product * decays.gammaSlopes(n)[0])
        guard let gradPre else { return }
        column.zero(Kp)
        rows.addCombination(p, to: column)
        gradPre.add(column, times: decays.weights(n)[0], width: Kp)
    }

    /// The step before is of other synapses: M is zeroed before this one.
    func reset(_ s: Int, step: Int) {
        readsEnd[s] = step * reads
        gradIsZero[s] = true
    }

    /// The gradient for λ from what is left of M₀ at the end of the segment, where no reset was met.
    func endAdjoint(_ s: Int, _ gradRates: RateGradient) {
        if gradIsZero[s] || isZero[s] { return }
        for j in 0..<H {
            let row = s * size() + j * Kp
            gradRates.add(lambda: (gradM + row).dot(M + row, Kp) * decays.powerSlope(count[s]), gamma: 0)
        }
    }

    /// The gradient for M₀, (H,Kp), which from here on is that for M at the end of the segment before.
    @discardableResult
    func finish(_ s: Int) -> Pointer {
        let gradM = gradM + s * size()
        if gradIsZero[s] { gradM.zero(size()) } else { gradM.scale(decays.power(count[s]), size()) }
        gradIsZero[s] = false
        // A reset before the first step stands between M₀ and all reads.
        var seeing = 0
        while readsEnd[s] > 0 && seeing < count[s] && start(s, seeing) == 0 { seeing += 1 }
        let first = index(s, 0, 0)
        for read in 0..<seeing * reads {
            let factor = decays.power(read / reads + lead)
            (scaled + read * Hp).copy(gradReads + (first + read) * Hp, Hp, times: factor)
        }
        RowMatrix(rows: keys + first * Kp, stride: Kp, count: seeing * reads, width: Kp)
            .addProduct(Factors(elements: scaled, rows: H, row: 1, column: Hp), to: gradM, stride: Kp)
        return gradM
    }
}

/// Sums of the gradients for λ and γ. In double precision: their terms are many, and may cancel.
struct RateGradient {
    private let sums: UnsafeMutablePointer<Double>  // (2)

    init(_ arena: inout Arena) { sums = arena.take(Double.self, 2) }

    func zero() { (sums[0], sums[1]) = (0, 0) }

    func add<T: Real>(lambda: T, gamma: T) {
        sums[0] += Double(lambda)
        sums[1] += Double(gamma)
    }

    static func sum(of parts: [RateGradient]) -> (lambda: Double, gamma: Double) {
        parts.reduce((0, 0)) { ($0.0 + $1.sums[0], $0.1 + $1.sums[1]) }
    }
}
