import CSTPN

/// A cell as the fast kernel computes it: how its memory is laid out, and what a block of samples does in a step.
///
/// The driver, `FastSequence`, has what is the same for every cell: threads, blocks of samples, the order of time,
/// resets, recomputation in segments, and sums of gradients in a fixed order.
protocol FastCell {
    associatedtype Number: Real
    associatedtype Description: CellDescription
    /// The parameters, in rows that vectors can load whole.
    associatedtype Parameters
    /// What steps leave for later ones and for the backward pass, per sample and step.
    associatedtype Trace
    /// Sums of the gradients for the parameters over some of the samples.
    associatedtype Gradients
    associatedtype Forward: ForwardBlock where Forward.Number == Number
    associatedtype Backward: BackwardBlock where Backward.Number == Number, Backward.Gradients == Gradients

    var description: Description { get }
    /// The number of the state that the synapses are.
    var synapseState: Int { get }
    /// How many numbers the synapses of a sample hold, padding included.
    var synapses: Int { get }

    func parameters(_ arena: inout Arena) -> Parameters
    func pack(_ arrays: InputArrays, into parameters: Parameters)

    /// Room for `slots` steps of `samples` samples; step t is in slot t modulo `slots`.
    func trace(_ arena: inout Arena, samples: Int, slots: Int) -> Trace
    /// The backward pass needs what `end` of the forward block adds to the trace.
    var traceHoldsEnd: Bool { get }

    func gradients(_ arena: inout Arena) -> Gradients
    func zero(_ gradients: Gradients)
    /// Writes row j of the parts' sum, added in their order, to the caller's arrays.
    func writeSum(of parts: [Gradients], row j: Int, to arrays: OutputArrays)

    /// Blocks of samples with scratch memory; going back, at most `steps` steps are replayed at a time, in `segments` segments.
    func forwardBlock(_ arena: inout Arena, _ parameters: Parameters, _ trace: Trace, samples: Int) -> Forward
    func backwardBlock(
        _ arena: inout Arena, _ parameters: Parameters, _ trace: Trace, samples: Int, steps: Int, segments: Int
    ) -> Backward
}

/// A block of samples on its way forward. `s` numbers the samples in the block and `b` those in the trace.
protocol ForwardBlock {
    associatedtype Number: Real

    /// The state before step 0: zeros where an array is missing.
    func begin(_ s: Int, _ b: Int, state: (Int) -> UnsafePointer<Number>?)
    /// Lays out the input of step t.
    func enter(_ s: Int, _ b: Int, t: Int, x: UnsafePointer<Number>)
    /// Zeroes the state before step t.
    func reset(_ s: Int, _ b: Int, t: Int)
    /// Ends step t - 1 (where P updates) and begins step t (where P reads), for N samples from `s` and `b` on.
    func pass<P: Phase, let N: Int>(_: P.Type, _: Samples<N>.Type, _ s: Int, _ b: Int, t: Int)
    /// From what the pass has read to the output of step t; `hasNext`: step t + 1 follows.
    func fire(_ s: Int, _ b: Int, t: Int, hasNext: Bool, y: UnsafeMutablePointer<Number>)
    /// The state after step t.
    func end(_ s: Int, _ b: Int, t: Int, state: (Int) -> UnsafeMutablePointer<Number>?)
}

/// A block of samples on its way back.
protocol BackwardBlock {
    associatedtype Number: Real
    associatedtype Gradients

    /// The synapses before the first step of a replay: those before step 0, or a checkpoint.
    func load(_ s: Int, state: (Int) -> UnsafePointer<Number>?)
    func load(_ s: Int, checkpoint: Int)
    /// Recomputes the synapses after every one of `steps`; they are zeros before step t where `reset(t)`.
    func replay(_ s: Int, _ b: Int, steps: Range<Int>, reset: (Int) -> Bool)
    /// Keeps the synapses after `count` steps of the replay.
    func save(_ s: Int, checkpoint: Int, after count: Int)

    /// The gradients for the state after the last step, zeros where an array is missing.
    func begin(_ s: Int, gradFinal: (Int) -> UnsafePointer<Number>?)
    /// From the gradients for the output of step t and for what follows to those for what its pass has read.
    func fireAdjoint(_ s: Int, _ b: Int, t: Int, gradY: UnsafePointer<Number>?, _ gradients: Gradients)
    /// The adjoint of the forward block's pass. The synapses between the two steps are number t - `origin` of the replay; it
    /// may read those before.
    func pass<P: Phase, let N: Int>(
        _: P.Type, _: Samples<N>.Type, _ s: Int, _ b: Int, t: Int, origin: Int, _ gradients: Gradients)
    /// The gradients for the input of step t, and on to step t - 1.
    func leave(_ s: Int, gradX: UnsafeMutablePointer<Number>?)
    /// Drops what would pass a reset.
    func reset(_ s: Int)
    /// The gradients for the state before step 0.
    func end(_ s: Int, gradState: (Int) -> UnsafeMutablePointer<Number>?)
}
