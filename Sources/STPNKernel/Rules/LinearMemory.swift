/// Synapses whose update is linear, M ← λ M + γ p qᵀ with one λ and one γ for all of them, as attention over the steps of a
/// chunk. M is never laid out between its beginning M₀ and its end:
///
///     M k = λⁿ M₀ k + Σ_i γ λ^{n-1-i} p_i (q_i·k)    after n updates
///
/// A read costs so many products of vectors as there were updates, where one of M costs as many as M has rows, and what
/// the backward pass needs is small. Ba et al. (2016) name this form; in chunks it is that of linear attention.
enum LinearMemory {
    /// How many updates make a chunk: few where M is small, and so is read quickly.
    static func chunk<T: Real>(rows: Int, columns: Int, _: T.Type) -> Int {
        min(64, 2 * padded(min(rows, columns), T.self))
    }
}

/// λ and γ to the powers that updates of a chunk have when it is read, from the oldest update to the newest, behind which
/// zeros follow.
struct Decays<T: Real> {
    /// The most updates of a chunk
    let chunk: Int
    private let finite: UnsafeMutablePointer<Int>  // (1): so many updates have finite factors
    // Arrays of the factors of updates, with zeros behind for as much as a vector; a is how many updates follow.
    private let weights: UnsafeMutablePointer<T>  // (chunk + one vector): γ λ^a
    private let gammaSlopes: UnsafeMutablePointer<T>  // (chunk + one vector): its derivative for γ
    private let lambdaSlopes: UnsafeMutablePointer<T>  // (chunk + one vector): and for λ
    private let powers: UnsafeMutablePointer<T>  // (chunk + 1): λⁿ
    private let powerSlopes: UnsafeMutablePointer<T>  // (chunk + 1): its derivative for λ

    init(_ arena: inout Arena, chunk: Int) {
        self.chunk = chunk
        finite = arena.take(Int.self, 1)
        weights = arena.take(T.self, chunk + T.rowUnit)
        gammaSlopes = arena.take(T.self, chunk + T.rowUnit)
        lambdaSlopes = arena.take(T.self, chunk + T.rowUnit)
        powers = arena.take(T.self, chunk + 1)
        powerSlopes = arena.take(T.self, chunk + 1)
    }

    func fill(lambda: T, gamma: T) {
        powers[0] = 1
        powerSlopes[0] = 0
        for n in 1...chunk {
            powers[n] = lambda * powers[n - 1]
            powerSlopes[n] = T(n) * powers[n - 1]
        }
        for array in [weights, gammaSlopes, lambdaSlopes] { (array + chunk).zero(T.rowUnit) }
        for later in 0..<chunk {
            let at = chunk - 1 - later
            // λ times an M of zeros, which is NaN where λ is NaN or infinite.
            weights[at] = gamma * powers[later] + lambda * 0
            gammaSlopes[at] = powers[later]
            lambdaSlopes[at] = gamma * powerSlopes[later]
        }
        finite[0] = (1...chunk).first { !(powers[$0].isFinite && weights[chunk - $0].isFinite) }.map { $0 - 1 } ?? chunk
    }

    /// The most updates that are not laid out: fewer than a chunk where λⁿ overflows, which times a 0 would be NaN, and none
    /// where γ is infinite.
    var limit: Int { finite[0] }

    /// Of M₀ after n updates
    func power(_ n: Int) -> T { powers[n] }
    func powerSlope(_ n: Int) -> T { powerSlopes[n] }

    /// Of the first of n updates; those of the others follow.
    func weights(_ n: Int) -> UnsafeMutablePointer<T> { weights + (chunk &- n) }
    func gammaSlopes(_ n: Int) -> UnsafeMutablePointer<T> { gammaSlopes + (chunk &- n) }
    func lambdaSlopes(_ n: Int) -> UnsafeMutablePointer<T> { lambdaSlopes + (chunk &- n) }

    /// M (rows, width) becomes λⁿ M + Σ_i γ λ^{n-1-i} p_i q_iᵀ with the n rows of p and q. `scaled`: room for those of p.
    func advance(
        _ M: UnsafeMutablePointer<T>, rows: Int, post p: RowMatrix<T>, pre q: RowMatrix<T>,
        scaled: UnsafeMutablePointer<T>
    ) {
        let n = p.count
        M.scale(power(n), rows * q.width)
        for i in 0..<n { (scaled + i * p.width).copy(p.rows + i * p.stride, p.width, times: weights(n)[i]) }
        q.addProduct(Factors(elements: scaled, rows: rows, row: 1, column: p.width), to: M, stride: q.width)
    }
}
