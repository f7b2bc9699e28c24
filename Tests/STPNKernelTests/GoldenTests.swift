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

    static let all: [GoldenCase] = {
        let files = try! FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        return files.filter { $0.pathExtension == "npz" }.sorted { $0.path < $1.path }.map { try! GoldenCase($0) }
    }()

    private init(_ url: URL) throws {
        name = url.deletingPathExtension().lastPathComponent
        npz = try Npz(contentsOf: url)
        let config =
            try JSONSerialization.jsonObject(with: Data(npz.arrays["config"]!.string.utf8)) as! [String: Any]
        var cell = try stpn_cell(name: config["cell"] as! String)
        for (option, value) in config where option != "cell" {
            if let number = value as? Double {
                try cell.set(option, number: number)
            } else if let flag = value as? Bool {
                try cell.set(option, number: flag ? 1 : 0)
            } else {
                try cell.set(option, name: value as? String)
            }
        }
        self.cell = cell
    }

    func values(_ key: String) -> [Double]? { npz.arrays[key]?.doubles }

    func input() throws -> RunInput {
        let description = try cell.checked().0.summary
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
    @Test func everyCaseIsThere() {
        #expect(GoldenCase.all.count == 92)
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
        let description = try golden.cell.checked().0.summary
        func expect(_ values: [T], _ key: String) {
            #expect(error(values, golden.values(key)!) <= tolerance, "\(key)")
        }
        expect(run.y, "y")
        expect(run.energy, "energy")
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
