"""Every decision of the program, as pure functions: read these files first.

Nothing here touches a disk, a process or a clock. The other folders fetch facts, call a rule and carry it out.

    outcomes     what became of a request, what it waits for, and the state of its procedure
    records      what is reported of a series, and what is remembered of it and of its study between passes
    modalities   which series a site wants (R40)
    series       how many images are expected, and whether all are here (R13, R33, R34, R36, R37)
    retrieving   when an incomplete series is asked for, and how (R18, R29, R30)
    turns        in which order requests and series are handled (R25)
    asking       when a list of images, or a question before closing, is asked again (R44)
    closing      whether a procedure has ended, whether a request is closed or fails (R14, R19 to R24, R32, R35)
    reporting    what a request waits for, and what is said of it when it is stuck or fails (R31, R38)
"""
