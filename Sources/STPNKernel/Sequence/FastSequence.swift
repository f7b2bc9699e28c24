import CSTPN

/// What the fast kernel keeps for its backward pass.
struct FastTape<C: FastCell> {
    let parameters: C.Parameters
    let trace: C.Trace
    /// Bit i: state number i was given, and is not zeros.
    let given: UnsafeMutablePointer<UInt64>  // (1)
    let states: UnsafeMutablePointer<C.Number>  // state number i, (B,shape), behind those before it
    let resets: UnsafeMutablePointer<UInt8>  // (B,T)
}

/// The driver of the fast kernel: blocks of samples over threads, step after step, forward and back.
///
/// Samples meet only in the gradients for the parameters. These are summed within groups of blocks in the order of the
/// batch, and then over the groups in their order; the groups depend on sizes alone. So no result depends on the number
/// of threads.
struct FastSequence<C: FastCell>: SequenceKernel {
    typealias Number = C.Number

    let cell: C
    let states: [ArrayInfo]
    /// Numbers in the states of a sample.
    let S: Int
    let B: Int
    let T: Int
    let I: Int
    let H: Int
    let threads: Int
    /// Samples of a block; the last one may have fewer.
    let blockSize: Int

    init(_ cell: C, batch: Int, time: Int, threads: Int) {
        self.cell = cell
        states = cell.description.states
        S = states.reduce(0) { $0 + $1.shape.count }
        (B, T, I, H) = (batch, time, cell.description.inputSize, cell.description.hiddenSize)
        blockSize = min(cell.samplesAtOnce, max(1, batch))
        let blocks = Self.blocks(batch, blockSize)
        let work = Double(batch) * Double(time) * Double(cell.synapses) * Double(cell.slices)
        self.threads = work < Self.workWorthAThread ? 1 : max(1, min(threads, blocks))
    }

    /// Synapses times steps that take about as long as to wake a sleeping thread, a few times over.
    private static var workWorthAThread: Double { 200_000 }

    private static func blocks(_ batch: Int, _ blockSize: Int) -> Int { (batch + blockSize - 1) / blockSize }

    var blocks: Int { Self.blocks(B, blockSize) }

    func samples(_ block: Int) -> Range<Int> {
        block * blockSize..<min(B, (block + 1) * blockSize)
    }

    @inline(never)
    func tape(_ arena: inout Arena) -> FastTape<C> {
        FastTape(
            parameters: cell.parameters(&arena), trace: cell.trace(&arena, samples: B, slots: T),
            given: arena.take(UInt64.self, 1), states: arena.take(Number.self, B, S),
            resets: arena.take(UInt8.self, B, T))
    }

    /// The part of the tape's state number `index` that is sample b's.
    func state(_ index: Int, _ b: Int, _ tape: FastTape<C>) -> UnsafePointer<Number>? {
        guard tape.given.pointee & (1 << UInt64(index)) != 0 else { return nil }
        let before = states[..<index].reduce(0) { $0 + $1.shape.count }
        return UnsafePointer(tape.states + B * before + b * states[index].shape.count)
    }

    /// Without a step, a state or its gradient passes unchanged.
    @inline(never)
    func passState(_ from: UnsafePointer<Number>?, _ to: UnsafeMutablePointer<Number>?, _ index: Int) {
        let count = B * states[index].shape.count
        if let from { to?.copy(from, count) } else { to?.zero(count) }
    }
}
