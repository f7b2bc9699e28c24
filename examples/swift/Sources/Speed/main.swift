// Milliseconds of a training step (forward, and backward to all parameters) in float32 on one thread: the fastest of 21.
//
//     swift run -c release --package-path examples/swift Speed

import STPNKernel

func uniform(_ count: Int) -> [Float] {
    (0..<count).map { _ in Float.random(in: -1...1) }
}

func time(_ name: String, _ configuration: CellConfiguration, batch B: Int, time T: Int) throws(STPNError) {
    var cell = try PlasticCell<Float>(configuration)
    cell.threads = 1
    let (x, gradY) = (uniform(B * T * cell.inputSize), uniform(B * T * cell.hiddenSize))
    var durations: [Duration] = []
    for _ in 0..<21 {
        let start = ContinuousClock.now
        let tape = try cell.forward(x.span, batch: B, time: T).tape
        _ = try cell.backwardParameters(tape, gradY: gradY.span)
        durations.append(ContinuousClock.now - start)
    }
    let microseconds = durations.min()! / .microseconds(1)
    print("\(name) \((microseconds / 10).rounded() / 100) ms")
}

try time("STPNR pre, B 128, I 37, H 11, T 9:   ", .stpn(inputSize: 37, hiddenSize: 11), batch: 128, time: 9)
try time("STPNR pre, B 128, I 37, H 100, T 9:  ", .stpn(inputSize: 37, hiddenSize: 100), batch: 128, time: 9)
try time("STPNR pre, B 512, I 17, H 55, T 50:  ", .stpn(inputSize: 17, hiddenSize: 55), batch: 512, time: 50)
try time("FastWeights, B 512, I 17, H 55, T 50:", .fastWeights(inputSize: 17, hiddenSize: 55), batch: 512, time: 50)
