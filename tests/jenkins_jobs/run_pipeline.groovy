// Runs a Pipeline script with stand-ins for Jenkins' steps; `sh` runs the script for real.
//
//     java -cp groovy.jar groovy.ui.GroovyMain run_pipeline.groovy SCRIPT WORKSPACE [NAME=VALUE ...]
//
// The pairs are the build's parameters. Prints what Jenkins would have been told, one line each. A shell script that ends with
// 98 stands for an abort, one with 97 for a lost node.

def (script, place) = [args[0], args[1]].collect { new File(it) }
def given = args.drop(2).collectEntries { it.split('=', 2) as List }
def loader = new GroovyClassLoader(this.class.classLoader)
def aborted = loader.parseClass('package org.jenkinsci.plugins.workflow.steps; class FlowInterruptedException extends Exception {}')
def order = ['SUCCESS', 'UNSTABLE', 'FAILURE', 'NOT_BUILT', 'ABORTED']

class CurrentBuild {
    List order
    String result
    String description

    void setResult(String wanted) {
        // hudson.model.Run: a result only becomes worse.
        if (result == null || order.indexOf(wanted) > order.indexOf(result)) { result = wanted }
    }
}

def current = new CurrentBuild(order: order)
def said = { words -> println("STEP $words") }
def inside = { name -> { Object[] all -> said("$name ${all.size() > 1 ? all[0] : ''}"); all[-1].call() } }

def shell = { Map about ->
    def file = File.createTempFile('step', '.sh')
    file.text = about.script.startsWith('#!') ? about.script : '#!/bin/sh -e\n' + about.script
    file.executable = true
    def process = new ProcessBuilder(file.path).directory(place).redirectError(ProcessBuilder.Redirect.INHERIT)
    given.each { name, value -> process.environment()[name] = value }
    def started = process.start()
    def output = started.inputStream.text
    int code = started.waitFor()
    file.delete()
    said("sh ${about.label}")
    if (code == 98) { throw aborted.getDeclaredConstructor().newInstance() }
    if (code == 97) { throw new IOException('the node is lost') }
    if (about.returnStdout) { return output }
    print(output)
    if (!about.returnStatus && code != 0) { throw new IOException("script returned exit code $code") }
    return code
}

def steps = [
    lock: inside('lock'), node: inside('node'), withEnv: inside('withEnv'), timestamps: inside('timestamps'),
    timeout: inside('timeout'), withCredentials: inside('withCredentials'), sh: shell,
    deleteDir: { -> place.listFiles().each { it.deleteDir() ?: it.delete() } },
    archiveArtifacts: { Map about -> said("archiveArtifacts $about.artifacts") },
    junit: { Map about -> said("junit $about.testResults") },
    copyArtifacts: { Map about -> said("copyArtifacts $about.projectName $about.selector") },
    specific: { it }, echo: { println(it) }, fileExists: { new File(place, it).exists() },
    string: { Map about -> about },
    build: { Map about -> said("build $about.job wait=$about.wait ${about.parameters.collect { "$it.name=$it.value" }.join(' ')}") },
]
def binding = new Binding(params: given, env: [BUILD_NUMBER: '12'], currentBuild: current)
steps.each { name, step -> binding.setVariable(name, step) }
try {
    new GroovyShell(loader, binding).evaluate(script)
} catch (Exception error) {
    println("THROWN ${error.class.simpleName} ${error.message}")
    // Jenkins: an exception that leaves the script is a FAILURE, an interruption has its own result.
    if (!aborted.isInstance(error)) { current.result = 'FAILURE' }
}
println("RESULT ${current.result ?: 'SUCCESS'}")
println("DESCRIPTION ${current.description}")
