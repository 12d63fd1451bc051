// Classifies pictures with a model of this bundle on Android, by LiteRT.
//
// Kotlin 1.7 or newer.
// build.gradle.kts:  implementation("com.google.ai.edge.litert:litert:2.1.0")
// Copy models/@MODEL@ and labels.txt into src/main/assets.

import android.content.Context
import android.graphics.Bitmap
import android.graphics.Color
import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.CompiledModel
import kotlin.math.exp

class Classifier(context: Context) : AutoCloseable {
    private val labels = context.assets.open("labels.txt").bufferedReader().readLines()
    private val model = CompiledModel.create(
        context.assets, "@MODEL@", CompiledModel.Options(Accelerator.CPU),
    )
    private val inputs = model.createInputBuffers()
    private val outputs = model.createOutputBuffers()

    /** The labels with their probabilities, the most probable first. */
    fun classify(picture: Bitmap): List<Pair<String, Float>> {
        inputs[0].@WRITE@
        model.run(inputs, outputs)
        val scores = @READ@
        val largest = scores.max()
        val powers = scores.map { exp(it - largest) }
        val sum = powers.sum()
        return labels.zip(powers.map { it / sum }).sortedByDescending { it.second }
    }

@PREPARE@@RESTORED@    override fun close() {
        inputs.forEach { it.close() }
        outputs.forEach { it.close() }
        model.close()
    }

    private companion object {
        const val SIZE = @SIZE@
        const val CHANNELS = @CHANNELS@
        const val COLOURS = @COLOURS@
        val MEAN = floatArrayOf(@MEAN@)
        val STD = floatArrayOf(@STD@)@CROP@@INPUT@@OUTPUT@
    }
}
