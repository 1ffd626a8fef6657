# Vivado's commands as far as the exported scripts use them: tclsh vivado.tcl SCRIPT
#
# Nothing is built. What is checked is that files, ports, interfaces and pins exist, that every pin which needs a
# driver has one, and that commands come in an order that makes sense. A command that is not here is an error, as
# in Vivado. In the environment: PORTS, a file with a line "direction width name" for each port of the Verilog.
# It was not compared with Vivado, and knows no more of these commands than whoever wrote the scripts.

set PROPERTIES [dict create]
array set FILES {}
array set MADE {}
set SCRIPT [lindex $argv 0]

proc need {ok what} {
    if {![uplevel 1 [list expr $ok]]} { error "vivado: $what" }
}

# Take "-name value" and "-flag" out of a command's arguments.
proc options {arguments flags valued} {
    set found [dict create]
    set rest {}
    while {[llength $arguments]} {
        set arguments [lassign $arguments word]
        if {$word in $flags} {
            dict set found $word 1
        } elseif {$word in $valued} {
            need {[llength $arguments] > 0} "$word must have a value"
            set arguments [lassign $arguments value]
            dict set found $word $value
        } else {
            need {![string match -* $word]} "no such option: $word"
            lappend rest $word
        }
    }
    return [list $found $rest]
}

proc ports {} {
    set handle [open $::env(PORTS)]
    set lines [split [string trim [read $handle]] \n]
    close $handle
    return $lines
}

# Projects, files, properties

proc create_project {args} {
    lassign [options $args {-force -in_memory} {-part}] found rest
    need {[dict exists $found -part] && [llength $rest] == 2} "create_project needs a name, a folder and -part"
    need {![info exists ::PROJECT]} "a project is open already"
    set ::PROJECT [lindex $rest 0]
    set ::FOLDER [lindex $rest 1]
    file mkdir $::FOLDER
    array unset ::FILES
}
proc close_project {} { unset ::PROJECT }
proc current_project {} { return project:$::PROJECT }
proc current_fileset {} { return fileset:sources_1 }
proc update_compile_order {args} { options $args {} {-fileset} }

proc add_files {args} {
    lassign [options $args {-norecurse} {-fileset}] found rest
    foreach path $rest {
        need {[file isfile $path]} "no such file: $path"
        set ::FILES([file tail $path]) $path
    }
}
proc get_files {args} {
    lassign [options $args {-quiet} {}] found rest
    foreach name $rest { need {[info exists ::FILES($name)]} "no such file in the project: $name" }
    return $rest
}

proc set_property {args} {
    if {[lindex $args 0] eq "-dict"} {
        lassign $args - pairs object
    } else {
        lassign $args name value object
        set pairs [list $name $value]
    }
    need {$object ne ""} "set_property $args: no object"
    foreach {name value} $pairs {
        dict set ::PROPERTIES $object $name $value
    }
}
proc get_property {name object} {
    if {[dict exists $::PROPERTIES $object $name]} { return [dict get $::PROPERTIES $object $name] }
    error "vivado: $object has no property $name"
}
proc property {object name default} {
    if {[dict exists $::PROPERTIES $object $name]} { return [dict get $::PROPERTIES $object $name] }
    return $default
}

# Packaging

namespace eval ipx {
    variable interfaces {} registers {} blocks {} maps {} loose {} clocked {}
}
proc ipx::package_project {args} {
    lassign [options $args {-force -import_files} {-root_dir -vendor -library -taxonomy -set_current}] found rest
    need {[info exists ::FILES(headrace.v)]} "no sources to package"
    need {[property fileset:sources_1 top ""] eq "headrace"} "the top module must be headrace"
    set ::ipx::root [dict get $found -root_dir]
    file mkdir $::ipx::root
    # Interfaces whose names follow the rule are recognized when their handshakes are there.
    foreach line [ports] { set there([lindex $line 2]) [lrange $line 0 1] }
    foreach name [array names there] {
        if {[regexp {^(.*)_awvalid$} $name - prefix]} {
            set kind [expr {[info exists there(${prefix}_awlen)] ? "aximm" : "axilite"}]
            foreach part {awaddr awready wdata wstrb wvalid wready bresp bvalid bready
                          araddr arvalid arready rdata rresp rvalid rready} {
                need {[info exists there(${prefix}_$part)]} "$prefix has no $part"
            }
            dict set ::ipx::interfaces $prefix $kind
        }
    }
    foreach name [array names there] {
        set of 0
        foreach prefix [dict keys $::ipx::interfaces] { if {[string match ${prefix}_* $name]} { set of 1 } }
        if {!$of} { dict set ::ipx::loose $name [lindex $there($name) 0] }
    }
}
proc ipx::current_core {} { return core }
proc ipx::get_bus_interfaces {name args} {
    return [expr {[dict exists $::ipx::interfaces $name] ? "interface:$name" : ""}]
}
proc ipx::infer_bus_interface {port abstraction core} {
    need {[dict exists $::ipx::loose $port]} "no port $port to make an interface of"
    need {[dict get $::ipx::loose $port] eq "input"} "$port must be an input"
    need {$abstraction in {xilinx.com:signal:clock_rtl:1.0 xilinx.com:signal:reset_rtl:1.0}} "what is $abstraction"
    dict set ::ipx::interfaces $port [lindex [split $abstraction :] 2]
    dict unset ::ipx::loose $port
}
proc ipx::associate_bus_interfaces {args} {
    lassign [options $args {} {-busif -clock -reset}] found rest
    need {$rest eq "core"} "no core is given"
    foreach {option name} $found {
        need {[dict exists $::ipx::interfaces $name]} "no interface $name"
    }
    if {[dict exists $found -busif]} { dict set ::ipx::clocked [dict get $found -busif] [dict get $found -clock] }
    if {[dict exists $found -reset]} { dict set ::ipx::clocked [dict get $found -reset] [dict get $found -clock] }
}
proc ipx::get_memory_maps {name args} {
    return [expr {$::env(MAPS) eq "inferred" || $name in $::ipx::maps ? "map:$name" : ""}]
}
proc ipx::add_memory_map {name core} { lappend ::ipx::maps $name; return map:$name }
proc ipx::get_address_blocks {args} {
    return [expr {$::env(MAPS) eq "inferred" || [llength $::ipx::blocks] ? "block" : ""}]
}
proc ipx::add_address_block {name map} { lappend ::ipx::blocks $name; return block }
proc ipx::add_register {name block} {
    need {$block eq "block"} "a register must be in a block"
    need {![dict exists $::ipx::registers $name]} "register $name is there twice"
    dict set ::ipx::registers $name 1
    return register:$name
}
proc ipx::get_registers {name args} {
    need {[dict exists $::ipx::registers $name]} "no register $name"
    return register:$name
}
proc ipx::add_register_parameter {name register} { return parameter:$name:$register }
proc ipx::create_xgui_files {core} {}
proc ipx::update_checksums {core} {}
proc ipx::check_integrity {core} {
    need {[dict size $::ipx::loose] == 0} "ports without an interface: [dict keys $::ipx::loose]"
    foreach {name kind} $::ipx::interfaces {
        if {$kind in {aximm axilite reset_rtl}} {
            need {[dict exists $::ipx::clocked $name]} "$name has no clock"
        }
    }
    set end 0
    set last ""
    set ends {}
    foreach name [dict keys $::ipx::registers] {
        set object register:$name
        lappend ends [list [expr {[get_property address_offset $object]}] [get_property size $object] $name]
        need {[get_property access $object] in {read-only write-only read-write}} "$name has no access"
    }
    foreach register [lsort -integer -index 0 $ends] {
        lassign $register at size name
        need {$at >= $end} "registers $last and $name overlap"
        set end [expr {$at + $size / 8}]
        set last $name
    }
    need {$end <= [get_property range block]} "register $last is beyond the block"
    foreach line [ports] {
        lassign $line direction width port
        if {$port eq "s_axi_control_awaddr"} {
            need {1 << $width == [get_property range block]} "the block's range does not fit $width bits of address"
        }
    }
}
proc ipx::save_core {core} { close [open [file join $::ipx::root component.xml] w] }

proc package_xo {args} {
    lassign [options $args {-force} {-xo_path -kernel_name -ctrl_protocol -ip_directory -output_kernel_xml}] found rest
    need {$rest eq ""} "package_xo: what is $rest"
    need {[file isfile [file join [dict get $found -ip_directory] component.xml]]} "no packaged block"
    need {[property core sdx_kernel false] eq "true"} "the block is no kernel"
    need {[property core vitis_drc ""] eq "ctrl_protocol [dict get $found -ctrl_protocol]"} "another protocol"
    need {[dict exists $::ipx::interfaces s_axi_control]} "s_axi_control must have this name"
    need {[property parameter:ASSOCIATED_BUSIF:register:BASE value ""] eq "m_axi"} "no argument is behind m_axi"
    foreach line [ports] {
        lassign $line direction width port
        if {$port in {m_axi_awaddr m_axi_araddr}} { need {$width == 64} "$port must have 64 bits" }
    }
    close [open [dict get $found -xo_path] w]
}

# Constraints are Tcl as well.
proc get_ports {name} {
    foreach line [ports] { if {[lindex $line 2] eq $name} { return port:$name } }
    error "vivado: no port $name"
}
proc create_clock {args} {
    lassign [options $args {} {-name -period}] found rest
    need {[dict get $found -period] > 0 && [string match port:* $rest]} "create_clock $args"
}
proc current_design {} { return design }

source [file join [file dirname [file normalize [info script]]] vivado_design.tcl]
source $SCRIPT
