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

    init(_ description: Description)

    var description: Description { get }
    /// Groups of neurons that do not meet within a step: each goes through the whole sequence before the next.
    var slices: Int { get }
    /// How many numbers the synapses of a sample hold in a slice, padding included.
    var synapses: Int { get }
    /// The update that ends a step and the read that begins the next can be one pass: nothing of other rows stands between.
    var fusesSteps: Bool { get }
    /// The samples of a block, which share loads of the parameters: all of a `WholeBlock`, or one where what its steps leave
    /// fills the nearest cache.
    var samplesAtOnce: Int { get }
    /// The most steps that a backward block replays at a time, of T steps of `samples` samples.
    func stepsAtOnce(_ T: Int, samples: Int) -> Int
    /// A pass going back ends the step before, whose synapses are replayed too where its segment begins.
    var endsStepBefore: Bool { get }

    func parameters(_ arena: inout Arena) -> Parameters
    func pack(_ arrays: InputArrays, into parameters: Parameters)

    /// Room for `slots` steps of `samples` samples; step t is in slot t modulo `slots`.
    func trace(_ arena: inout Arena, samples: Int, slots: Int) -> Trace
    /// The backward pass needs what `end` of the forward block adds to the trace.
    var traceHoldsEnd: Bool { get }

    func gradients(_ arena: inout Arena) -> Gradients
    func zero(_ gradients: Gradients)
    /// Adds up row j of the parts, in their order, and writes what is neuron j's to the caller's arrays, which are in
    /// the order of the parameters' slots, nil where one is not wanted. What is needed for `writeTotal` stays in the first part.
    func writeSum(
        of parts: [Gradients], _ parameters: Parameters, row j: Int, to targets: [UnsafeMutablePointer<Number>?])
    /// Writes what belongs to no one neuron, when all rows are added up.
    func writeTotal(of parts: [Gradients], _ parameters: Parameters, to targets: [UnsafeMutablePointer<Number>?])

    /// Blocks of samples with scratch memory; going back, at most `steps` steps are replayed at a time, in `segments` segments.
    func forwardBlock(_ arena: inout Arena, _ parameters: Parameters, _ trace: Trace, samples: Int) -> Forward
    func backwardBlock(
        _ arena: inout Arena, _ parameters: Parameters, _ trace: Trace, samples: Int, steps: Int, segments: Int
    ) -> Backward
}

extension FastCell {
    var slices: Int { 1 }
    var samplesAtOnce: Int { WholeBlock.count }
    var endsStepBefore: Bool { true }

    /// As many as keep a block's states in the cache, in segments of about the same length; but no fewer than make the
    /// states in between and the beginnings of the segments take the same room.
    func stepsAtOnce(_ T: Int, samples: Int) -> Int {
        let bytes = Double(T) * Double(samples * synapses) * Double(MemoryLayout<Number>.size)
        if bytes <= bytesAtOnce { return T }
        let inCache = Double(T) / (bytes / bytesAtOnce).rounded(.up)
        return min(T, max(8, Int(max(inCache, Double(T).squareRoot()).rounded(.up))))
    }

    private var bytesAtOnce: Double { 8 * 1024 * 1024 }
}

/// A block of samples on its way forward. `s` numbers the samples in the block and `b` those in the trace.
protocol ForwardBlock {
    associatedtype Number: Real

    /// The block with the neurons of a slice.
    func slice(_ index: Int) -> Self
    /// The state before step 0: zeros where an array is missing.
    func begin(_ s: Int, _ b: Int, state: (Int) -> UnsafePointer<Number>?)
    /// Lays out the input of step t, behind which those of the other steps to come follow: `steps` in all.
    func enter(_ s: Int, _ b: Int, t: Int, x: UnsafePointer<Number>, steps: Int)
    /// Zeroes the state before step t.
    func reset(_ s: Int, _ b: Int, t: Int)
    /// Ends step t - 1 (where P updates) and begins step t (where P reads), for N samples from `s` and `b` on.
    func pass<P: Phase, let N: Int>(
        _: P.Type, _: Samples<N>.Type, _ s: Int, _ b: Int, t: Int, wantsEnergy: Bool)
    /// From what the pass has read to the output of step t, and its energy; `hasNext`: step t + 1 follows.
    func fire(
        _ s: Int, _ b: Int, t: Int, hasNext: Bool, y: UnsafeMutablePointer<Number>,
        energy: UnsafeMutablePointer<Number>?)
    /// The state after step t.
    func end(_ s: Int, _ b: Int, t: Int, state: (Int) -> UnsafeMutablePointer<Number>?)
}

/// A block of samples on its way back.
protocol BackwardBlock {
    associatedtype Number: Real
    associatedtype Gradients

    /// The block with the neurons of a slice; `wantsGradX`: those for the inputs have somewhere to go.
    func slice(_ index: Int, wantsGradX: Bool) -> Self
    /// The synapses before the first step of a replay: those before step 0, or a checkpoint.
    func load(_ s: Int, state: (Int) -> UnsafePointer<Number>?)
    func load(_ s: Int, checkpoint: Int)
    /// Recomputes the synapses of samples after every one of `steps`; those of sample s are zeros before step t where
    /// `reset(s, t)`. `b` numbers sample 0 of the block in the trace.
    func replay(_ samples: Range<Int>, _ b: Int, steps: Range<Int>, reset: (Int, Int) -> Bool)
    /// Keeps the synapses after `steps`, which begin the replay.
    func save(_ s: Int, _ b: Int, checkpoint: Int, steps: Range<Int>)

    /// The gradients for the state after the last step, zeros where an array is missing.
    func begin(_ s: Int, gradFinal: (Int) -> UnsafePointer<Number>?)
    /// From the gradients for the output of step t and for what follows to those for what its pass has read. The synapses
    /// before step t are number t - `origin` of the replay.
    func fireAdjoint(_ s: Int, _ b: Int, t: Int, origin: Int, gradY: UnsafePointer<Number>?, _ gradients: Gradients)
    /// The adjoint of the forward block's pass. It may read the synapses before as well.
    func pass<P: Phase, let N: Int>(
        _: P.Type, _: Samples<N>.Type, _ s: Int, _ b: Int, t: Int, origin: Int, _ gradients: Gradients)
    /// The gradients for the input of step t; of a slice, added to those of the ones before. Those of the steps after it in
    /// the replay follow, and can be written as late as when t is `origin`.
    func leave(_ s: Int, t: Int, origin: Int, gradX: UnsafeMutablePointer<Number>?)
    /// Drops what would pass the reset before step t.
    func reset(_ s: Int, t: Int, origin: Int)
    /// On to the step that the last pass has ended.
    func turn(_ s: Int)
    /// The gradients for the state before step 0.
    func end(_ s: Int, gradState: (Int) -> UnsafeMutablePointer<Number>?)
}

extension ForwardBlock {
    func slice(_ index: Int) -> Self { self }
}

extension BackwardBlock {
    func slice(_ index: Int, wantsGradX: Bool) -> Self { self }
}

/// Writes the sum of arrays of `count` numbers, one of each part, in the order of the parts.
func writeSum<Part, T: Real>(
    of parts: [Part], _ count: Int, to target: UnsafeMutablePointer<T>?, _ array: (Part) -> UnsafeMutablePointer<T>
) {
    guard let target else { return }
    target.copy(array(parts[0]), count)
    for part in parts.dropFirst() { target.add(array(part), count) }
}
