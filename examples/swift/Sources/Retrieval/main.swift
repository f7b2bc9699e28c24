// Trains short-term plasticity neurons on associative retrieval, and fails if they have not learned it.
//
//     swift run -c release --package-path examples/swift Retrieval

import Foundation
import STPNKernel

/// SplitMix64: the same numbers in every run.
struct Generator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}

func train() throws(STPNError) -> Double {
    let task = Task()
    let (B, T, H) = (128, task.time, 16)
    var generator = Generator(state: 0)
    var cell = try PlasticCell<Float>(.stpn(inputSize: task.symbols, hiddenSize: H), using: &generator)
    var readout = Readout(H: H, classes: task.digits, using: &generator)
    var cellOptimizer = Adam(count: cell.parameters.values.count, rate: 0.005)
    var readoutOptimizer = Adam(count: readout.parameters.count, rate: 0.005)

    let steps = 1000
    for step in 1...steps {
        let (x, answers) = task.batch(B, using: &generator)
        let (y, _, tape) = try cell.forward(x.span, batch: B, time: T)
        let (loss, right, gradY, gradReadout) = readout.loss(y, time: T, answers: answers)
        // The cell reads the data itself: gradients for x and for the state before the first step are not needed.
        let gradCell = try cell.backwardParameters(tape, gradY: gradY.span)
        cellOptimizer.update(&cell.parameters.values, gradCell.values)
        readoutOptimizer.update(&readout.parameters, gradReadout)
        if step % (steps / 10) == 0 {
            print("step \(step)   loss \(loss)   accuracy \(Double(right) / Double(B))")
        }
    }

    let (x, answers) = task.batch(4096, using: &generator)
    let y = try cell.run(x.span, batch: answers.count, time: T).y
    return Double(readout.loss(y, time: T, answers: answers).right) / Double(answers.count)
}

do {
    let accuracy = try train()
    print("accuracy on new sequences: \(accuracy)")
    exit(accuracy > 0.95 ? EXIT_SUCCESS : EXIT_FAILURE)
} catch {
    print(error)
    exit(EXIT_FAILURE)
}
