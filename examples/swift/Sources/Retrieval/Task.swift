/// Associative retrieval, the paper's first task with fewer symbols: c1a3b2??a → 3. Which letter goes with which digit is
/// another in every sequence, so that the network cannot know it by its weights.
struct Task {
    let letters = 6
    let digits = 4
    let pairs = 3

    /// I: letters, digits, "?"
    var symbols: Int { letters + digits + 1 }
    /// T
    var time: Int { 2 * pairs + 3 }

    /// B sequences: one-hot symbols (B,T,I), and the digit (B) that each asks for.
    func batch(_ B: Int, using generator: inout some RandomNumberGenerator) -> (x: [Float], answers: [Int]) {
        var x = [Float](repeating: 0, count: B * time * symbols)
        var answers: [Int] = []
        for b in 0..<B {
            let keys = (0..<letters).shuffled(using: &generator).prefix(pairs)
            let values = keys.map { _ in Int.random(in: 0..<digits, using: &generator) }
            let asked = Int.random(in: 0..<pairs, using: &generator)
            let mark = letters + digits
            let sequence = zip(keys, values).flatMap { [$0, letters + $1] } + [mark, mark, keys[asked]]
            for (t, symbol) in sequence.enumerated() { x[(b * time + t) * symbols + symbol] = 1 }
            answers.append(values[asked])
        }
        return (x, answers)
    }
}
