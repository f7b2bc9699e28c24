import CSTPN
import Foundation
import Testing

@testable import STPNKernel

/// The golden cases of Tests/golden: float64 values of the equations and their gradients by automatic differentiation.
struct GoldenCase: CustomTestStringConvertible {
    let name: String
    let npz: Npz
    let cell: stpn_cell

    var testDescription: String { name }

    private static var folder: URL {
        URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().appending(path: "golden")
    }

    /// The cases of recurrent STPN cells whose options are normalize, clamp and bias.
    static let all: [GoldenCase] = {
        let files = try! FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        return files.filter { $0.lastPathComponent.hasPrefix("stpnr_") && $0.pathExtension == "npz" }
            .sorted { $0.path < $1.path }
            .compactMap { try? GoldenCase($0) }
    }()

    private struct NotCovered: Error {}

    private init(_ url: URL) throws {
        name = url.deletingPathExtension().lastPathComponent
        npz = try Npz(contentsOf: url)
        let config =
            try JSONSerialization.jsonObject(with: Data(npz.arrays["config"]!.string.utf8)) as! [String: Any]
        let covered: Set = ["cell", "input_size", "hidden_size", "recurrent", "normalize", "clamp", "bias"]
        guard covered.isSuperset(of: config.keys) else { throw NotCovered() }
        var cell = try stpn_cell(kind: 1)
        cell.input_size = Int64(config["input_size"] as! Int)
        cell.hidden_size = Int64(config["hidden_size"] as! Int)
        try cell.set("normalize", name: config["normalize"] as? String)
        if let clamp = config["clamp"] as? Double { cell.clamp = clamp }
        cell.bias = config["bias"] as? Bool == false ? 0 : 1
        self.cell = cell
    }

    func values(_ key: String) -> [Double]? { npz.arrays[key]?.doubles }

    func input() throws -> RunInput {
        let description = try cell.checked().0
        let shape = npz.arrays["x"]!.shape
        return RunInput(
            cell: cell, batch: shape[0], time: shape[1], x: values("x")!,
            parameters: description.parameters.map { values("param.\($0.name)")! },
            state: description.states.map { values("state.\($0.name)") },
            resets: npz.arrays["resets"].map { [UInt8]($0.bytes) }, gradY: values("cotangent.y")!,
            gradFinal: description.states.map { values("cotangent.final.\($0.name)") })
    }
}

/// The measure of Tests/golden/README.md: differences relative to the largest value, or to 1.
func error<T: Real>(_ values: [T], _ expected: [Double]) -> Double {
    guard values.count == expected.count else { return .infinity }
    let scale = expected.reduce(1) { max($0, abs($1)) }
    return zip(values, expected).reduce(0) { worst, pair in
        let difference = abs(Double(pair.0) - pair.1)
        return difference.isNaN ? .infinity : max(worst, difference / scale)
    }
}

let available = Implementation.allCases.filter(\.isAvailable)

@Suite struct GoldenTests {
    @Test func everyCaseThatTheOptionsCoverIsThere() {
        #expect(GoldenCase.all.count == 15)
    }

    @Test(arguments: GoldenCase.all, available)
    func float64(_ golden: GoldenCase, _ implementation: Implementation) throws {
        try check(golden, try Run<Double>(golden.input(), implementation), tolerance: 1e-12)
    }

    @Test(arguments: GoldenCase.all, available)
    func float32(_ golden: GoldenCase, _ implementation: Implementation) throws {
        try check(golden, try Run<Float>(golden.input(), implementation), tolerance: 1e-5)
    }

    private func check<T>(_ golden: GoldenCase, _ run: Run<T>, tolerance: Double) throws {
        let description = try golden.cell.checked().0
        func expect(_ values: [T], _ key: String) {
            #expect(error(values, golden.values(key)!) <= tolerance, "\(key)")
        }
        expect(run.y, "y")
        expect(run.gradX, "grad.x")
        for (i, state) in description.states.enumerated() {
            expect(run.final[i], "final.\(state.name)")
            if golden.values("grad.state.\(state.name)") != nil {
                expect(run.gradState[i], "grad.state.\(state.name)")
            }
        }
        for (i, parameter) in description.parameters.enumerated() {
            expect(run.gradParameters[i], "grad.param.\(parameter.name)")
        }
    }
}
