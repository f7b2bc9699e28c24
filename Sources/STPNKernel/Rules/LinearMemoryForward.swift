/// A linear memory of a block of samples on its way forward.
struct LinearMemoryForward<T: Real> {
    typealias Pointer = UnsafeMutablePointer<T>

    /// Rows of M, and the widths of p and q with padding
    private let H: Int
    private let Hp: Int
    private let Kp: Int
    private let decays: Decays<T>
    private let post: Pointer  // (samples, chunk, Hp): p of the updates since M₀
    private let pre: Pointer  // (samples, chunk, Kp): q
    private let count: UnsafeMutablePointer<Int>  // (samples): how many they are
    private let M: Pointer  // (samples, H, Kp): M₀
    private let isZero: UnsafeMutablePointer<Bool>  // (samples): M₀ is, whatever stands there
    private let now: Pointer  // (samples, H, Kp): M after the last update; only for energies
    private let isFresh: UnsafeMutablePointer<Bool>  // (samples): that is M₀, and not yet there
    private let products: Pointer  // (the larger of chunk and Hp)
    private let scaled: Pointer  // (chunk, Hp)

    init(_ arena: inout Arena, _ decays: Decays<T>, samples: Int, rows: Int, width: Int) {
        (H, Hp, Kp, self.decays) = (rows, padded(rows, T.self), width, decays)
        let chunk = decays.chunk
        post = arena.take(T.self, samples, chunk, Hp)
        pre = arena.take(T.self, samples, chunk, Kp)
        count = arena.take(Int.self, samples)
        M = arena.take(T.self, samples, H, Kp)
        isZero = arena.take(Bool.self, samples)
        now = arena.take(T.self, samples, H, Kp)
        isFresh = arena.take(Bool.self, samples)
        products = arena.take(T.self, max(padded(chunk, T.self), Hp))
        scaled = arena.take(T.self, chunk, Hp)
    }

    private func size() -> Int { H * Kp }

    /// M of sample s: rows of `columns` numbers each, or zeros.
    func begin(_ s: Int, _ state: UnsafePointer<T>?, columns: Int) {
        reset(s)
        guard let state else { return }
        isZero[s] = false
        (M + s * size()).copyRows(state, rows: H, columns: columns, width: Kp)
    }

    func reset(_ s: Int) {
        count[s] = 0
        isZero[s] = true
        isFresh[s] = true
    }

    /// Adds an update. `postIsBounded`: p has no huge numbers, for sure. `wantsEnergy`: also to what `addEnergy` reads.
    func update(
        _ s: Int, post p: UnsafePointer<T>, postIsBounded: Bool = false, pre q: UnsafePointer<T>, wantsEnergy: Bool
    ) {
        if count[s] >= max(1, decays.limit) { layOut(s) }
        let at = s &* decays.chunk &+ count[s]
        (post + at &* Hp).copy(p, Hp)
        (pre + at &* Kp).copy(q, Kp)
        count[s] += 1
        if wantsEnergy {
            let (p, q) = (updates(post, Hp, at, 1), updates(pre, Kp, at, 1))
            decays.advance(current(s), rows: H, post: p, pre: q, scaled: scaled)
        }
        if decays.limit == 0 || !postIsBounded && isHuge(p, Hp) || isHuge(q, Kp) { layOut(s) }
    }

    /// Where M after the last update stands, from M₀ on.
    private func current(_ s: Int) -> Pointer {
        let now = now + s * size()
        if isFresh[s] { isZero[s] ? now.zero(size()) : now.copy(M + s * size(), size()) }
        isFresh[s] = false
        return now
    }

    private func updates(_ rows: Pointer, _ width: Int, _ first: Int, _ count: Int) -> RowMatrix<T> {
        RowMatrix(rows: rows + first &* width, stride: width, count: count, width: width)
    }

    /// Adds M k to `target` (Hp).
    func read(_ s: Int, _ k: UnsafePointer<T>, to target: Pointer) {
        let (n, first) = (count[s], s &* decays.chunk)
        let weights = decays.weights(n)
        updates(pre, Kp, first, n).multiply(k, to: products)
        products.multiply(weights, width: n)
        updates(post, Hp, first, n).addCombination(products, to: target)
        if isZero[s] { return }
        RowMatrix(rows: M + s &* size(), stride: Kp, count: H, width: Kp).multiply(k, to: products)
        target.add(products, times: decays.power(n), width: H)
    }

    /// A read of what is not laid out multiplies the key with every q, and may overflow where M k does not, because a p is 0,
    /// or find infinite products of opposite signs.
    func isHuge(_ k: UnsafePointer<T>) -> Bool { isHuge(k, Kp) }

    private func isHuge(_ row: UnsafePointer<T>, _ width: Int) -> Bool {
        !(UnsafeMutablePointer(mutating: row).dot(row, width) < T.greatestFiniteMagnitude.squareRoot())
    }

    /// Adds Σ |W + M| k² of every row to `target` (H), with W (H,Kp) or without it.
    func addEnergy(_ s: Int, _ k: UnsafePointer<T>, weight W: Pointer? = nil, to target: Pointer) {
        let M = current(s)
        for j in 0..<H {
            var sum = T.Lanes.zero
            for at in stride(from: 0, to: Kp, by: T.Lanes.scalarCount) {
                let (value, fast) = (k.lanes(at), M.lanes(j * Kp + at))
                let G = W.map { $0.lanes(j * Kp + at) + fast } ?? fast
                sum = fma(absolute(G, T.self), value * value, sum)
            }
            target[j] += horizontalSum(sum, T.self)
        }
    }

    /// Lays out M, (H,Kp), which is M₀ of the updates to come.
    @discardableResult
    func layOut(_ s: Int) -> Pointer {
        let (M, first, n) = (M + s * size(), s &* decays.chunk, count[s])
        if isZero[s] { M.zero(size()) }
        decays.advance(M, rows: H, post: updates(post, Hp, first, n), pre: updates(pre, Kp, first, n), scaled: scaled)
        count[s] = 0
        isZero[s] = false
        return M
    }
}
