/// z = W v + b with weights that do not change, for the fast kernel: several samples share each load of W.
struct DenseLayer<T: Real> {
    typealias Pointer = UnsafeMutablePointer<T>

    /// H and K, and padded
    let H: Int
    let Hp: Int
    let K: Int
    let Kp: Int
    let rows: Pointer  // (H,Kp): W
    private let columns: Pointer  // (K,Hp): Wᵀ
    let bias: Pointer  // (Hp)

    init(_ arena: inout Arena, H: Int, K: Int) {
        (self.H, self.K, Hp, Kp) = (H, K, padded(H, T.self), padded(K, T.self))
        rows = arena.take(T.self, H, Kp)
        columns = arena.take(T.self, K, Hp)
        bias = arena.take(T.self, Hp)
    }

    /// From `weight` (H,K) and `bias` (H), zeros where there is none.
    func pack(_ weight: UnsafePointer<T>, _ bias: UnsafePointer<T>?) {
        rows.copyRows(weight, rows: H, columns: K, width: Kp)
        for k in 0..<K {
            for j in 0..<Hp { columns[k * Hp + j] = j < H ? weight[j * K + k] : 0 }
        }
        self.bias.copyRows(bias, rows: 1, columns: H, width: Hp)
    }

    /// z = W v + b: rows of v (K) lie `stride` apart, those of z (Hp) follow each other.
    func read(_ v: UnsafePointer<T>, stride: Int, rows count: Int, to z: Pointer) {
        for row in 0..<count { (z + row &* Hp).copy(bias, Hp) }
        RowMatrix(rows: columns, stride: Hp, count: K, width: Hp)
            .addProduct(Factors(elements: v, rows: count, row: stride, column: 1), to: z, stride: Hp)
    }

    /// From the gradients (Hp) for z, `stride` apart, to those for v (Kp), which are added and follow each other.
    func addAdjoint(_ gradZ: UnsafePointer<T>, stride: Int, rows count: Int, to gradV: Pointer) {
        RowMatrix(rows: rows, stride: Kp, count: H, width: Kp)
            .addProduct(Factors(elements: gradZ, rows: count, row: stride, column: 1), to: gradV, stride: Kp)
    }

    /// Σ |W| v² of every neuron, (H): what a read of W costs.
    func setEnergy(_ v: UnsafePointer<T>, to energy: Pointer) {
        for j in 0..<H {
            energy[j] = (0..<K).reduce(0) { $0 + rows[j * Kp + $1].magnitude * v[$1] * v[$1] }
        }
    }
}

/// A sum of gradients for W and b.
struct DenseGradient<T: Real> {
    typealias Pointer = UnsafeMutablePointer<T>

    private let H: Int
    private let Hp: Int
    private let K: Int
    private let Kp: Int
    private let columns: Pointer  // (K,Hp): for Wᵀ
    private let bias: Pointer  // (Hp)

    init(_ arena: inout Arena, H: Int, K: Int) {
        (self.H, self.K, Hp, Kp) = (H, K, padded(H, T.self), padded(K, T.self))
        columns = arena.take(T.self, K, Hp)
        bias = arena.take(T.self, Hp)
    }

    func zero() {
        columns.zero(K * Hp)
        bias.zero(Hp)
    }

    /// Adds those of `steps` steps, whose v (Kp) and gradients for z (Hp) follow each other.
    func add(_ gradZ: UnsafePointer<T>, _ v: UnsafePointer<T>, steps: Int) {
        RowMatrix(rows: gradZ, stride: Hp, count: steps, width: Hp)
            .addProduct(Factors(elements: v, rows: K, row: 1, column: Kp), to: columns, stride: Hp)
        for step in 0..<steps { bias.add(gradZ + step * Hp, Hp) }
    }

    /// Adds up neuron j of the parts, in their order, and writes it to `bias` (H), and to `weight` (H,K) with all the neurons of
    /// a vector where j is its first.
    static func writeSum(of parts: [DenseGradient], row j: Int, weight: Pointer?, bias: Pointer?) {
        STPNKernel.writeSum(of: parts, 1, to: bias.map { $0 + j }) { $0.bias + j }
        let (lanes, H, Hp, K) = (T.Lanes.scalarCount, parts[0].H, parts[0].Hp, parts[0].K)
        guard let weight, j % lanes == 0 else { return }
        for k in 0..<K {
            var sum = parts[0].columns.lanes(k * Hp + j)
            for part in parts.dropFirst() { sum += part.columns.lanes(k * Hp + j) }
            for i in 0..<min(lanes, H - j) { weight[(j + i) * K + k] = sum[i] }
        }
    }
}
