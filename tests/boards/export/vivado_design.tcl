# Block designs and runs, for vivado.tcl: cells have pins, pins are of kinds, and what needs a driver must have one.

set PINS [dict create \
    xilinx.com:ip:proc_sys_reset {slowest_sync_clk in ext_reset_in in peripheral_aresetn out} \
    xilinx.com:ip:smartconnect {aclk in aresetn in S00_AXI slave M00_AXI master} \
    xilinx.com:ip:zynq_ultra_ps_e {}]

proc get_board_parts {args} {
    lassign [options $args {-quiet} {}] found rest
    set known [list xilinx.com:kv260_som:part0:1.4 xilinx.com:zcu104:part0:1.1]
    if {$::env(BOARDS) eq "none"} { set known {} }
    set out {}
    foreach name $known { if {[string match [lindex $rest 0] $name]} { lappend out $name } }
    return $out
}
proc update_ip_catalog {} {
    foreach folder [property [current_project] ip_repo_paths {}] {
        need {[file isfile [file join $folder component.xml]]} "no block in $folder"
        set ::CATALOG 1
    }
}
proc create_bd_design {name} { set ::DESIGN $name }
proc create_bd_cell {args} {
    lassign [options $args {} {-type -vlnv}] found name
    need {[info exists ::DESIGN]} "no block design is open"
    set vlnv [dict get $found -vlnv]
    if {$vlnv eq "headrace:accelerator:headrace:1.0"} {
        need {[info exists ::CATALOG]} "the catalog does not have $vlnv"
        set pins {}
        foreach {pin kind} {ap_clk in ap_rst_n in s_axi_control slave m_axi master} {
            set there 0
            foreach line [ports] {
                set port [lindex $line 2]
                if {$port eq $pin || [string match ${pin}_awvalid $port]} { set there 1 }
            }
            if {$there} { lappend pins $pin $kind }
        }
    } else {
        need {[dict exists $::PINS $vlnv]} "the catalog does not have $vlnv"
        set pins [dict get $::PINS $vlnv]
    }
    dict set ::CELLS $name $pins
    dict set ::KINDS $name $vlnv
    return cell:$name
}
proc get_bd_cells {name} {
    need {[dict exists $::CELLS $name]} "no cell $name"
    return cell:$name
}
proc apply_bd_automation {args} {
    lassign [options $args {} {-rule -config}] found rest
    need {[dict get $found -rule] eq "xilinx.com:bd_rule:zynq_ultra_ps_e"} "no such rule"
    need {[property [current_project] board_part ""] ne ""} "no board, so no preset"
    set ::PRESET 1
}
# Pins that the processors have depend on what is switched on.
proc pins {name} {
    set pins [dict get $::CELLS $name]
    if {[dict get $::KINDS $name] eq "xilinx.com:ip:zynq_ultra_ps_e"} {
        foreach {switch more} {
            M_AXI_GP0 {M_AXI_HPM0_FPD master maxihpm0_fpd_aclk in}
            M_AXI_GP1 {M_AXI_HPM1_FPD master maxihpm1_fpd_aclk in}
            M_AXI_GP2 {M_AXI_HPM0_LPD master maxihpm0_lpd_aclk in}
            S_AXI_GP2 {S_AXI_HP0_FPD slave saxihp0_fpd_aclk in}
        } {
            # The preset switches both on that lead to the fabric.
            if {[property cell:$name CONFIG.PSU__USE__$switch [expr {$switch in {M_AXI_GP0 M_AXI_GP1}}]]} {
                lappend pins {*}$more
            }
        }
        if {[property cell:$name CONFIG.PSU__FPGA_PL0_ENABLE 0]} { lappend pins pl_clk0 out pl_resetn0 out }
    }
    return $pins
}
proc pin {path kinds} {
    lassign [split $path /] name pin
    need {[dict exists $::CELLS $name]} "no cell $name"
    need {[dict exists [pins $name] $pin]} "no pin $path"
    need {[dict get [pins $name] $pin] in $kinds} "$path is another kind of pin"
    return pin:$path
}
proc get_bd_intf_pins {path} { return [pin $path {master slave}] }
proc get_bd_pins {path} { return [pin $path {in out}] }
proc kind {object} {
    lassign [split [string range $object 4 end] /] name pin
    return [dict get [pins $name] $pin]
}
proc connect_bd_intf_net {from to} {
    need {[kind $from] eq "master" && [kind $to] eq "slave"} "from $from to $to"
    foreach object [list $from $to] {
        need {![info exists ::CONNECTED($object)]} "$object is connected twice"
        set ::CONNECTED($object) 1
    }
}
proc connect_bd_net {from args} {
    need {[kind $from] eq "out"} "$from drives nothing"
    set ::CONNECTED($from) 1
    foreach object $args {
        need {[kind $object] eq "in"} "$object is driven twice"
        need {![info exists ::CONNECTED($object)]} "$object is driven twice"
        set ::CONNECTED($object) $from
    }
}
proc assign_bd_address {args} { set ::ASSIGNED 1 }
proc validate_bd_design {} {
    need {[info exists ::PRESET]} "the memory of the board is not set up"
    need {[info exists ::ASSIGNED]} "addresses are not assigned"
    foreach name [dict keys $::CELLS] {
        foreach {pin kind} [pins $name] {
            if {$kind ne "out"} { need {[info exists ::CONNECTED(pin:$name/$pin)]} "$name/$pin is not connected" }
        }
    }
    set ::VALID 1
}
proc save_bd_design {} {
    need {[info exists ::VALID]} "not validated"
    set ::FILES($::DESIGN.bd) made
}
proc make_wrapper {args} { options $args {-top -import} {-files} }
proc generate_target {args} {}

# Runs

proc get_runs {name} { return run:$name }
proc launch_runs {args} {
    lassign [options $args {} {-to_step -jobs}] found name
    need {[property fileset:sources_1 top ""] eq "${::DESIGN}_wrapper"} "the top module is no wrapper"
    set folder [file join $::FOLDER $name]
    file mkdir $folder
    close [open [file join $folder ${::DESIGN}_wrapper.bit] w]
    set handoff [file join $::FOLDER $::PROJECT.gen sources_1 bd $::DESIGN hw_handoff]
    file mkdir $handoff
    close [open [file join $handoff $::DESIGN.hwh] w]
    set_property DIRECTORY $folder run:$name
    set_property PROGRESS $::env(PROGRESS) run:$name
    set_property STATUS {route_design ERROR} run:$name
    set_property STATS.WNS $::env(SLACK) run:$name
}
proc wait_on_run {name} { get_property PROGRESS run:$name }
proc open_run {name} { get_property PROGRESS run:$name }
proc report_timing_summary {args} { options $args {} {-file} }
proc report_utilization {args} { options $args {} {-file} }
