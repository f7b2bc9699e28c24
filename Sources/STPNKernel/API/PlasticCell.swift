import CSTPN

/// A cell of plastic synapses: a configuration with parameters.
///
///     var cell = try PlasticCell<Float>(.stpn(inputSize: 37, hiddenSize: 11))
///     let (y, state, tape) = try cell.forward(x.span, batch: 128, time: 9)
///     let gradients = try cell.backward(tape, gradY: gradY.span)
///
/// A cell is a value: a copy has parameters of its own. Sizes are B, the batch, T, the time, I, the input size, and H, the
/// hidden size; arrays are row-major and packed, (B,T,I) is a buffer of B·T·I numbers. Any number of threads may call a cell
/// at once. NaN and infinity flow through the arithmetic.
public struct PlasticCell<Scalar: CellScalar>: Sendable {
    public let configuration: CellConfiguration

    /// The parameters, by their names in `docs/cells.md`.
    public var parameters: NamedArrays<Scalar>

    /// At most so many threads for a call of this cell. 0: as many as the environment variable `STPN_NUM_THREADS` says, or the
    /// processors that the process may use. The results are the same bits for any number.
    public var threads = 0

    /// I
    public var inputSize: Int { configuration.inputSize }
    /// H
    public var hiddenSize: Int { configuration.hiddenSize }

    /// `configuration.cell` with the number type of `Scalar`.
    let description: stpn_cell
    var summary: Cell.Summary { configuration.summary }

    /// A cell with initial parameters as in `docs/cells.md`, drawn with a generator.
    ///
    /// - Throws: ``STPNError`` where the system does not have the memory for the parameters, or `Scalar` is neither `Float` nor
    ///   `Double`.
    public init(
        _ configuration: CellConfiguration, using generator: inout some RandomNumberGenerator
    ) throws(STPNError) {
        guard Scalar.self == Float.self || Scalar.self == Double.self else {
            throw STPNError(.option, "dtype", "expected Float or Double, got \(Scalar.self)")
        }
        var description = configuration.cell
        description.dtype = (Scalar.self == Float.self ? NumberType.float32 : .float64).rawValue
        (self.configuration, self.description) = (configuration, description)
        parameters = try NamedArrays(configuration.summary.parameters)
        for (array, info) in zip(parameters.layout, configuration.summary.parameters) {
            for i in array.range {
                let isConstant = info.low == info.high
                let value = isConstant ? info.low : Double.random(in: info.low..<info.high, using: &generator)
                parameters.values[i] = Scalar(value)
            }
        }
    }

    /// A cell with other initial parameters in every call; see ``init(_:using:)``.
    public init(_ configuration: CellConfiguration) throws(STPNError) {
        var generator = SystemRandomNumberGenerator()
        try self.init(configuration, using: &generator)
    }

    /// The state that a sequence begins with where none is given: zeros. Also what holds gradients for a state.
    ///
    /// - Throws: ``STPNError`` where the batch is negative, or its states need more memory than there is.
    public func initialState(batch: Int) throws(STPNError) -> NamedArrays<Scalar> {
        guard batch >= 0 else { throw STPNError(.size, "batch", "expected 0 or more, got \(batch)") }
        return try NamedArrays(summary.states, batch: batch)
    }
}
