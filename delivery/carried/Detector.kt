// Finds things in pictures with a model of this bundle on Android, by LiteRT.
//
// Kotlin 1.7 or newer.
// build.gradle.kts:  implementation("com.google.ai.edge.litert:litert:2.1.0")
// Copy models/@MODEL@, labels.txt and detection.json into src/main/assets.

import android.content.Context
import android.graphics.Bitmap
import android.graphics.Canvas
import android.graphics.Color
import android.graphics.RectF
import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.CompiledModel
import kotlin.math.exp
import kotlin.math.max
import kotlin.math.min
import org.json.JSONArray
import org.json.JSONObject

/** A thing in a picture: its label, how sure that is, and where it is in pixels of the picture. */
data class Found(val label: String, val score: Float, val box: RectF)

class Detector(context: Context) : AutoCloseable {
    private val labels = context.assets.open("labels.txt").bufferedReader().readLines()
    private val settings =
        JSONObject(context.assets.open("detection.json").bufferedReader().readText())
    private val levels = each(settings.getJSONArray("levels")) { all, at -> all.getJSONObject(at) }
    private val model = CompiledModel.create(
        context.assets, "@MODEL@", CompiledModel.Options(Accelerator.CPU),
    )
    private val inputs = model.createInputBuffers()
    private val outputs = model.createOutputBuffers()

    /** What is in a picture, the best first. */
    fun detect(picture: Bitmap): List<Found> {
        inputs[0].@WRITE@
        model.run(inputs, outputs)
        val numbers = OUTPUTS.indices.associate { OUTPUTS[it] to @READ@ }
        val overlap = settings.getDouble("overlap")
        val kept = ArrayList<Candidate>()
        for (one in levels.flatMap { candidates(it, numbers) }.sortedByDescending { it.score }) {
            if (kept.none { it.label == one.label && shared(it.box, one.box) > overlap }) kept += one
        }
        val wide = picture.width / columns(picture).toFloat()
        val high = picture.height / rows(picture).toFloat()
        return kept.take(settings.getInt("count")).map {
            val box = RectF(
                min(it.box.left * wide, picture.width.toFloat()),
                min(it.box.top * high, picture.height.toFloat()),
                min(it.box.right * wide, picture.width.toFloat()),
                min(it.box.bottom * high, picture.height.toFloat()),
            )
            Found(labels[it.label], it.score, box)
        }
    }

    private class Candidate(val label: Int, val score: Float, val box: RectF)

    /** The boxes of a level with a score that is told. */
    private fun candidates(level: JSONObject, numbers: Map<String, FloatArray>): List<Candidate> {
        val logits = numbers.getValue(level.getString("scores"))
        val codes = numbers.getValue(level.getString("boxes"))
        val anchors = each(level.getJSONArray("anchors")) { all, at -> all.getJSONArray(at) }
        val classes = settings.getInt("classes")
        val least = settings.getDouble("least_score")
        return logits.indices
            .filter { 1 / (1 + exp(-logits[it])) > least }
            .sortedByDescending { logits[it] }
            .take(settings.getInt("candidates"))
            .map {
                val row = it / classes
                val box = box(level, anchors[row % anchors.size], row / anchors.size, codes, 4 * row)
                Candidate(it % classes, 1 / (1 + exp(-logits[it])), box)
            }
    }

    /** An anchor of a place, moved and resized as the four codes from `first` on say. */
    private fun box(
        level: JSONObject, anchor: JSONArray, place: Int, codes: FloatArray, first: Int,
    ): RectF {
        val stride = level.getInt("stride")
        val (left, top, right, bottom) = each(anchor) { all, at -> all.getDouble(at).toFloat() }
        val x = (place % level.getInt("columns") + 0.5f) * stride + (left + right) / 2
        val y = (place / level.getInt("columns") + 0.5f) * stride + (top + bottom) / 2
        val largest = settings.getDouble("largest_log").toFloat()
        val halfWidth = exp(min(codes[first + 2], largest)) * (right - left) / 2
        val halfHeight = exp(min(codes[first + 3], largest)) * (bottom - top) / 2
        val middleX = x + codes[first] * (right - left)
        val middleY = y + codes[first + 1] * (bottom - top)
        return RectF(
            (middleX - halfWidth).coerceIn(0f, SIZE.toFloat()),
            (middleY - halfHeight).coerceIn(0f, SIZE.toFloat()),
            (middleX + halfWidth).coerceIn(0f, SIZE.toFloat()),
            (middleY + halfHeight).coerceIn(0f, SIZE.toFloat()),
        )
    }

    /** The area that two boxes share, as a share of what they cover. */
    private fun shared(one: RectF, other: RectF): Float {
        val wide = max(0f, min(one.right, other.right) - max(one.left, other.left))
        val high = max(0f, min(one.bottom, other.bottom) - max(one.top, other.top))
        val both = one.width() * one.height() + other.width() * other.height() - wide * high
        return if (both > 0) wide * high / both else 0f
    }

    private fun <T> each(all: JSONArray, get: (JSONArray, Int) -> T) = List(all.length()) { get(all, it) }

@SIDES@
@PREPARE@@RESTORED@    override fun close() {
        inputs.forEach { it.close() }
        outputs.forEach { it.close() }
        model.close()
    }

    private companion object {
        val OUTPUTS = listOf(@OUTPUTS@)
        const val SIZE = @SIZE@
        const val CHANNELS = @CHANNELS@
        const val COLOURS = @COLOURS@
        val MEAN = floatArrayOf(@MEAN@)
        val STD = floatArrayOf(@STD@)@CROP@@INPUT@@OUTPUT@
    }
}
