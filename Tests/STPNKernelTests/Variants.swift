import CSTPN
import Testing

@testable import STPNKernel

/// A cell by its kind and options: "stpn normalize=post clamp=0.1". None is written as "None".
struct Variant: CustomTestStringConvertible, Sendable {
    let text: String
    var testDescription: String { text }

    init(_ text: String) {
        self.text = text
    }

    func cell(I: Int, H: Int) throws -> stpn_cell {
        let words = text.split(separator: " ")
        var cell = try stpn_cell(name: String(words[0]))
        (cell.input_size, cell.hidden_size) = (Int64(I), Int64(H))
        for word in words.dropFirst() {
            let parts = word.split(separator: "=").map(String.init)
            if let number = Double(parts[1]) {
                try cell.set(parts[0], number: number)
            } else {
                try cell.set(parts[0], name: parts[1] == "None" ? nil : parts[1])
            }
        }
        return cell
    }

    /// The networks that the paper trained, and every option at least once.
    static let all: [Variant] = [
        "stpn", "stpn normalize=None clamp=0.1", "stpn normalize=output bias=0", "stpn normalize=post clamp=1",
        "stpn clamp=0", "stpn plasticity_shape=scalar", "stpn plasticity_shape=neuron plastic=hidden",
        "stpn plasticity_shape=presynaptic plastic=input decay=prompt", "stpn rule=oja presynaptic=current",
        "stpn normalize=post rule=oja clamp=0.3", "stpn norm_axis=layer norm_gain=1",
        "stpn normalize=post norm_axis=layer", "stpn normalize=post norm_gain=1 layer_norm=1",
        "stpn presynaptic=current activation=sigmoid", "stpn plastic_bias=1 layer_norm=1 clamp=0.3",
        "stpn recurrent=0", "stpn recurrent=0 normalize=None clamp=0.1 activation=sigmoid",
        "stpn recurrent=0 normalize=output plasticity_shape=scalar decay=prompt",
        "stpn recurrent=0 normalize=post clamp=0.2 plasticity_shape=neuron bias=0",
        "stpn recurrent=0 normalize=output rule=oja plastic_bias=1", "hebbff", "hebbff forced=0", "fast_weights",
        "fast_weights inner_steps=3 layer_norm=0 activation=sigmoid", "modulated", "modulated kind=plastic addpw=0",
        "modulated kind=modul addpw=2 da=sig", "modulated kind=modul addpw=1 da=lin",
    ].map(Variant.init)
}
